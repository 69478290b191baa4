// A write-ahead file: records that are there after any crash once Append has returned, and a server
// that keeps a client's writes in one.
//
//   file    a record after the other:
//             u32 size of the body    u64 XXH3 of the body, seeded with the record's offset    body
//
// Recovery keeps the longest prefix of whole records and cuts the rest: a torn tail was
// acknowledged to nobody. What it keeps it syncs, for a killed process may have left it in the
// kernel's memory only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/io/env.h"
#include "engine/io/sync.h"
#include "scenarios/calls.h"

namespace weir::scenarios {

// Tasks of one executor.
class WalFile {
 public:
  // `bug` is one of wal_file's, or "". kDataLoss: a record has a good checksum and is none.
  static absl::StatusOr<std::unique_ptr<WalFile>> Open(io::Env& env, std::string path,
                                                       std::string bug);
  // What was there at Open, in order.
  const std::vector<Numbers>& recovered() const { return recovered_; }
  // Durable after OK. After an error the file may not be written to again.
  absl::Status Append(const Numbers& record);

 private:
  WalFile(io::Env& env, std::string path, std::string bug)
      : env_(env), path_(std::move(path)), bug_(std::move(bug)), mutex_(env.tasks, "wal") {}
  absl::Status Recover();

  io::Env& env_;
  const std::string path_;
  const std::string bug_;
  io::Mutex mutex_;
  std::unique_ptr<io::File> file_;
  std::vector<Numbers> recovered_;
  uint64_t end_ = 0;
};

// Roles: store ADDRESS, and client WRITES ADDRESS, which writes and then checks what it reads.
absl::Status WalStore(io::Env& env);

}  // namespace weir::scenarios
