#include "src/engine/torch/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/functorch/BatchedFallback.h>
#include <sched.h>
#include <stdlib.h>
#include <torch/headeronly/version.h>

#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "src/base/status.h"
#include "src/engine/torch/catch_torch.h"

namespace bif::engine {
namespace {

// Rises when our own kernels change their rounding.
constexpr int kKernelVersion = 2;

int CoresOfThisProcess() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  return sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : 1;
}

absl::StatusOr<int> FixThreads(int wanted) {
  if (wanted < 0 || wanted > 4096) {
    return FieldError("threads", absl::StrCat("must be 0 (one a core) to 4096, is ", wanted));
  }
  static absl::Mutex mutex(absl::kConstInit);  // guards `fixed`
  static int fixed ABSL_GUARDED_BY(mutex) = 0;
  absl::MutexLock lock(&mutex);
  if (fixed == 0) {
    fixed = wanted == 0 ? CoresOfThisProcess() : wanted;
    at::set_num_interop_threads(1);
  } else if (wanted != 0 && wanted != fixed) {
    return FieldError("threads", absl::StrCat("this process computes with ", fixed,
                                              " threads already, not with ", wanted));
  }
  at::set_num_threads(fixed);
  return fixed;
}

absl::StatusOr<c10::Device> ParseDevice(const std::string& name) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  absl::string_view rest = name;
  int index = 0;
  const bool cuda =
      absl::ConsumePrefix(&rest, "cuda") &&
      (rest.empty() || (absl::ConsumePrefix(&rest, ":") && absl::SimpleAtoi(rest, &index)));
  if (!cuda || index < 0) {
    return FieldError("device", absl::StrCat("must be cpu or cuda:N, is '", name, "'"));
  }
  if (!at::hasCUDA()) {
    return FieldError(
        "device",
        absl::StrCat(
            "is ", name, ", but this LibTorch (", TORCH_VERSION,
            ") finds no CUDA; use cpu, or a CUDA build of PyTorch on a machine with a GPU"));
  }
  const int count = at::detail::getCUDAHooks().getNumGPUs();
  if (index >= count) {
    return FieldError("device",
                      absl::StrCat("is ", name, ", but this machine has ", count, " GPUs"));
  }
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

// The same numbers every time, and fp32 that is fp32. Of the fused kernels of attention only flash
// is left, which is for half precision and has a backward pass of one order; the memory-efficient
// one adds in any order, and refused lengths that are no multiples of four.
void MakeCudaDeterministic() {
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);  // read when cuBLAS starts
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  at::globalContext().setSDPUseMemEfficient(false);
  at::globalContext().setSDPUseCuDNN(false);
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setBenchmarkCuDNN(false);
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setAllowTF32CuBLAS(false);
}

}  // namespace

absl::StatusOr<OpenedDevice> OpenDevice(const EngineOptions& options) {
  return CatchTorch("opening the device", [&]() -> absl::StatusOr<OpenedDevice> {
    OpenedDevice opened;
    BIF_ASSIGN_OR_RETURN(opened.device, ParseDevice(options.device));
    BIF_ASSIGN_OR_RETURN(opened.info.threads, FixThreads(options.threads));
    // An operator without a batching rule runs one by one. Tuning notices that it is slow; users
    // need not read of it.
    at::functorch::setVmapFallbackWarningEnabled(false);
    if (opened.device.is_cuda()) MakeCudaDeterministic();
    opened.info.device = opened.device.str();
    opened.info.numerics = absl::StrCat(
        "torch ", TORCH_VERSION, ", ", opened.device.is_cuda() ? "cuda" : "cpu", ", ",
        at::get_cpu_capability(), ", ", opened.info.threads, " threads, kernels ", kKernelVersion);
    return opened;
  });
}

}  // namespace bif::engine
