// Tells ThreadSanitizer about absl::Mutex, CondVar and Notification. Linked into every binary of
// the preset `tsan`.
//
// The distribution's Abseil is not instrumented, so ThreadSanitizer sees none of its locks and
// would call everything that they guard a race. The definitions here come before the library's in
// the search for symbols, for our code and for gRPC alike; each announces what it does as Abseil
// does when it is compiled with -fsanitize=thread, and calls the library's own function. Nothing is
// hidden: an access without the lock is still reported, and so is a cycle of locks.
//
// Await and CondVar are announced as giving up a lock held for writing; nobody here awaits with a
// reader's lock. The conditions that Abseil evaluates inside a call are not checked.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

namespace {

#define BIF_TEXT_OF(token) #token
#define BIF_TEXT(token) BIF_TEXT_OF(token)
// Abseil's own namespace, which its mangled names carry.
constexpr char kNamespace[] = BIF_TEXT(ABSL_OPTION_INLINE_NAMESPACE_NAME);

// The library's function of that mangled name, `after_namespace` being what follows absl::<inline
// namespace>.
template <typename Function>
Function* Library(const char* before_namespace, const char* after_namespace) {
  const std::string name = std::string(before_namespace) + "4absl" +
                           std::to_string(sizeof(kNamespace) - 1) + kNamespace + after_namespace;
  void* const found = dlsym(RTLD_NEXT, name.c_str());
  if (found == nullptr) {
    std::fprintf(stderr, "tests/support/tsan: the Abseil library has no function %s\n",
                 name.c_str());
    std::abort();
  }
  return reinterpret_cast<Function*>(found);
}

constexpr char kMethod[] = "_ZN";
constexpr char kConstMethod[] = "_ZNK";

// The library's functions call one another, and then what they do is announced already.
thread_local bool inside_library = false;

template <typename Call>
auto CallLibrary(const Call& call) {
  struct Inside {
    Inside() { inside_library = true; }
    ~Inside() { inside_library = false; }
  } inside;
  return call();
}

template <typename Call>
auto Locking(absl::Mutex* mutex, unsigned flags, const Call& call) {
  if (inside_library) return call();
  __tsan_mutex_pre_lock(mutex, flags);
  struct Locked {
    absl::Mutex* mutex;
    unsigned flags;
    ~Locked() { __tsan_mutex_post_lock(mutex, flags, 0); }
  } locked{mutex, flags};
  return CallLibrary(call);
}

template <typename Call>
void Unlocking(absl::Mutex* mutex, unsigned flags, const Call& call) {
  if (inside_library) return call();
  __tsan_mutex_pre_unlock(mutex, flags);
  CallLibrary(call);
  __tsan_mutex_post_unlock(mutex, flags);
}

template <typename Call>
bool TryLocking(absl::Mutex* mutex, unsigned flags, const Call& call) {
  if (inside_library) return call();
  flags |= __tsan_mutex_try_lock;
  __tsan_mutex_pre_lock(mutex, flags);
  const bool locked = CallLibrary(call);
  __tsan_mutex_post_lock(mutex, locked ? flags : flags | __tsan_mutex_try_lock_failed, 0);
  return locked;
}

// A wait gives the lock up and takes it again before it returns.
template <typename Call>
auto Waiting(absl::Mutex* mutex, const Call& call) {
  if (inside_library) return call();
  __tsan_mutex_pre_unlock(mutex, 0);
  __tsan_mutex_post_unlock(mutex, 0);
  return Locking(mutex, 0, call);
}

void Acquire(const void* address) { __tsan_acquire(const_cast<void*>(address)); }

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

Mutex::~Mutex() {
  static auto* const library = Library<void(Mutex*)>(kMethod, "5MutexD1Ev");
  library(this);
  __tsan_mutex_destroy(this, __tsan_mutex_not_static);
}

void Mutex::Lock() {
  static auto* const library = Library<void(Mutex*)>(kMethod, "5Mutex4LockEv");
  Locking(this, 0, [this] { library(this); });
}

void Mutex::Unlock() {
  static auto* const library = Library<void(Mutex*)>(kMethod, "5Mutex6UnlockEv");
  Unlocking(this, 0, [this] { library(this); });
}

bool Mutex::TryLock() {
  static auto* const library = Library<bool(Mutex*)>(kMethod, "5Mutex7TryLockEv");
  return TryLocking(this, 0, [this] { return library(this); });
}

void Mutex::ReaderLock() {
  static auto* const library = Library<void(Mutex*)>(kMethod, "5Mutex10ReaderLockEv");
  Locking(this, __tsan_mutex_read_lock, [this] { library(this); });
}

void Mutex::ReaderUnlock() {
  static auto* const library = Library<void(Mutex*)>(kMethod, "5Mutex12ReaderUnlockEv");
  Unlocking(this, __tsan_mutex_read_lock, [this] { library(this); });
}

bool Mutex::ReaderTryLock() {
  static auto* const library = Library<bool(Mutex*)>(kMethod, "5Mutex13ReaderTryLockEv");
  return TryLocking(this, __tsan_mutex_read_lock, [this] { return library(this); });
}

void Mutex::Await(const Condition& condition) {
  static auto* const library =
      Library<void(Mutex*, const Condition&)>(kMethod, "5Mutex5AwaitERKNS0_9ConditionE");
  Waiting(this, [&] { library(this, condition); });
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  static auto* const library = Library<bool(Mutex*, const Condition&, Time)>(
      kMethod, "5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  return Waiting(this, [&] { return library(this, condition, deadline); });
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const library = Library<bool(Mutex*, const Condition&, Duration)>(
      kMethod, "5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  return Waiting(this, [&] { return library(this, condition, timeout); });
}

void Mutex::LockWhen(const Condition& condition) {
  static auto* const library =
      Library<void(Mutex*, const Condition&)>(kMethod, "5Mutex8LockWhenERKNS0_9ConditionE");
  Locking(this, 0, [&] { library(this, condition); });
}

bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  static auto* const library = Library<bool(Mutex*, const Condition&, Time)>(
      kMethod, "5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  return Locking(this, 0, [&] { return library(this, condition, deadline); });
}

bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const library = Library<bool(Mutex*, const Condition&, Duration)>(
      kMethod, "5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  return Locking(this, 0, [&] { return library(this, condition, timeout); });
}

void CondVar::Wait(Mutex* mutex) {
  static auto* const library =
      Library<void(CondVar*, Mutex*)>(kMethod, "7CondVar4WaitEPNS0_5MutexE");
  Waiting(mutex, [&] { library(this, mutex); });
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static auto* const library = Library<bool(CondVar*, Mutex*, Time)>(
      kMethod, "7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  return Waiting(mutex, [&] { return library(this, mutex, deadline); });
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static auto* const library = Library<bool(CondVar*, Mutex*, Duration)>(
      kMethod, "7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  return Waiting(mutex, [&] { return library(this, mutex, timeout); });
}

// Its flag is an atomic that only the library writes, and who sees it set takes no lock.
void Notification::Notify() {
  static auto* const library = Library<void(Notification*)>(kMethod, "12Notification6NotifyEv");
  __tsan_release(&notified_yet_);
  library(this);
}

void Notification::WaitForNotification() const {
  static auto* const library =
      Library<void(const Notification*)>(kConstMethod, "12Notification19WaitForNotificationEv");
  library(this);
  Acquire(&notified_yet_);
}

bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  static auto* const library = Library<bool(const Notification*, Duration)>(
      kConstMethod, "12Notification30WaitForNotificationWithTimeoutENS0_8DurationE");
  const bool notified = library(this, timeout);
  Acquire(&notified_yet_);
  return notified;
}

bool Notification::WaitForNotificationWithDeadline(Time deadline) const {
  static auto* const library = Library<bool(const Notification*, Time)>(
      kConstMethod, "12Notification31WaitForNotificationWithDeadlineENS0_4TimeE");
  const bool notified = library(this, deadline);
  Acquire(&notified_yet_);
  return notified;
}

ABSL_NAMESPACE_END
}  // namespace absl
