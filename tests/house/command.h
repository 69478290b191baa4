// Runs a program and waits for it: for the tests of scripts, the formatter and the compiler.
#pragma once

#include <string>

namespace weir::house {

struct CommandResult {
  int status;       // The exit status; -1 when a signal ended it.
  std::string out;  // What it wrote to standard output.
  std::string err;  // What it wrote to standard error.

  // The last line of standard output.
  std::string LastLine() const;
};

// `command` is a line for /bin/sh.
CommandResult Shell(const std::string& command);

// A folder of its own below the system's for temporary files, removed with everything in it at the
// end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  // Writes a file below the folder and makes the folders on the way.
  void Write(const std::string& name, const std::string& text) const;
  // The same, and makes it executable.
  void WriteScript(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
};

std::string ReadWholeFile(const std::string& path);

}  // namespace weir::house
