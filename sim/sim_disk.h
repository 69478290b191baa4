// SimDisk: the disk of a simulated host, with the page cache between what was written and what is
// durable.
//
// A process that dies takes nothing with it: the cache belongs to the kernel. A host that loses
// power keeps what was synced, and of the rest: of each file some unsynced 512-byte sectors, each
// whole, torn in the middle or as before, and a size between the durable and the last one; of each
// directory the first few of its unsynced changes of names, in their order.
//
// A disk may be in trouble (DiskTrouble in sim/world.h). A sync that fails leaves of the unsynced
// sectors what a power cut would: some are on the platter, and the cache forgets the rest, so what
// is read afterwards is the truth. Handles that were open then stay broken. A misdirected write
// succeeds and lands in sectors of any file of the disk; bits flip on the way from the platter or
// for good. Calls never return short: the interface has no short reads, a short one is retried
// below it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/disk.h"
#include "sim/core.h"

namespace weir::sim {

std::unique_ptr<io::Disk> MakeDiskView(Life& life);

struct Inode;
using InodePtr = std::shared_ptr<Inode>;

// A change of a directory that is not durable: `name` pointed to `before` (null: was not there).
struct NameChange {
  std::string name;
  InodePtr before;
};

struct Inode {
  Inode(uint64_t* used_in, bool is_directory_in) : is_directory(is_directory_in), used(used_in) {}
  ~Inode() { *used -= bytes.size(); }
  Inode(const Inode&) = delete;
  Inode& operator=(const Inode&) = delete;

  const bool is_directory;
  uint64_t* const used;  // of the disk

  std::map<std::string, InodePtr, std::less<>> names;  // of a directory
  std::vector<NameChange> unsynced_names;

  std::string bytes;  // of a file, as a reader sees it
  uint64_t durable_size = 0;
  // Sectors below durable_size that were overwritten since the last sync, as they are on the
  // platter.
  std::map<uint64_t, std::string> platter;
  bool dirty = false;
  uint64_t failed_syncs = 0;  // a handle older than the latest is broken
  FaultTag damaged_by = 0;    // its bytes are not what was written; the next read tells
  Life* lock_holder = nullptr;
};

class SimDiskState {
 public:
  SimDiskState(Core& core, HostState& host);

  static constexpr uint64_t kSectorBytes = 512;

  // The data directory of a process, durable: it was there before the world began.
  void MakeRoot(const std::string& directory);
  void OnLifeEnded(Life& life);  // releases its locks
  void Crash();                  // the power is gone
  void Replace();                // a new, empty disk
  // The data directory of one place becomes that of another: the disk now serves another host.
  void RenameRoot(const std::string& from, const std::string& to);

  // `path` as seen from `directory`. kNotFound names the path as the caller wrote it.
  absl::StatusOr<InodePtr> Walk(const std::string& directory, std::string_view path);
  InodePtr NewInode(bool is_directory) { return std::make_shared<Inode>(&used_, is_directory); }
  void SetName(Inode& directory, std::string_view name, InodePtr target);
  absl::Status Resize(Inode& file, uint64_t size, std::string_view path);
  void Overwrite(Inode& file, uint64_t offset, std::string_view bytes);
  void Sync(Inode& file);
  // The device refused: what was to be durable is so in part.
  void FailSync(Inode& file);

  DiskTrouble& trouble() { return trouble_; }
  // Whether this call is one that fails.
  bool Strikes(DiskTrouble::Calls& calls);
  void WakeHung();
  std::vector<io::TaskRef>& hung() { return hung_; }
  bool FlipStored(uint64_t bits, uint64_t where, FaultTag tag);
  // Lands `bytes` in some sectors of some file.
  void Misdirect(Inode& meant, std::string_view bytes, FaultTag tag);

  uint64_t used() const { return used_; }
  base::Random& random() { return random_; }

 private:
  void CrashInode(Inode& inode);
  void CrashFile(Inode& file);
  // Files with bytes, in the order of their names, each once.
  std::vector<Inode*> Files();

  Core& core_;
  base::Random random_;
  uint64_t used_ = 0;
  DiskTrouble trouble_;
  std::vector<io::TaskRef> hung_;
  InodePtr root_;
};

}  // namespace weir::sim
