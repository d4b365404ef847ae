// Syncs and preallocation of the test's own process do nothing: it opens thousands of data
// directories, none of which has to outlive it, and the disk would take most of the time.
#include <fcntl.h>
#include <unistd.h>

extern "C" {
int fsync(int) { return 0; }
int fdatasync(int) { return 0; }
int sync_file_range(int, off64_t, off64_t, unsigned) { return 0; }
// RocksDB calls it with FALLOC_FL_KEEP_SIZE alone, which nobody can see.
int fallocate(int, int, off_t, off_t) { return 0; }
}
