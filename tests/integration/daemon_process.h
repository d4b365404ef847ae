// A real bifd as a child process, on a data directory of the test's choice. Thread-compatible.
// Output on stderr is appended to <data directory>.log.
//
// The child is killed when the object goes. Functions that cannot do what they say throw: such a
// test cannot go on.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

namespace bif::testing {

class DaemonProcess {
 public:
  enum class Start {
    kAndServe,  // returns once it serves, or once it has ended without serving
    kOnly       // returns at once; AwaitServing does the rest
  };
  // Starts bifd on free loopback ports.
  DaemonProcess(const std::string& data_directory, const std::vector<std::string>& flags,
                Start start = Start::kAndServe);
  ~DaemonProcess();
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;

  void AwaitServing();
  bool serving() const { return !address_.empty(); }
  const std::string& address() const { return address_; }  // host:port; empty if it does not serve
  int metrics_port() const { return metrics_port_; }
  std::string log() const;            // what it has written to stderr
  pid_t pid() const { return pid_; }  // -1 after its end

  void Signal(int signal);
  void StandStill();  // SIGSTOP; returns once no thread of it runs any more
  void GoOn();        // SIGCONT
  int AwaitExit();    // the exit code; 128 + signal if it was killed
  void Kill();        // kill -9, and waits for the end

 private:
  std::string log_path_;
  std::string address_;
  int metrics_port_ = 0;
  int stdout_ = -1;
  pid_t pid_ = -1;
};

}  // namespace bif::testing
