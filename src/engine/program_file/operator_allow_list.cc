#include "src/engine/program_file/operator_allow_list.h"

#include <functional>
#include <set>
#include <vector>

#include "absl/strings/str_split.h"

namespace bif::engine {
namespace {

using NameSet = std::set<std::string, std::less<>>;

// A set that is never destroyed, from names with spaces between.
const NameSet* Names(const char* text) {
  const std::vector<std::string> names = absl::StrSplit(text, ' ', absl::SkipEmpty());
  return new NameSet(names.begin(), names.end());
}

// May return their first tensor, or a view of it.
const NameSet& Aliasing() {
  static const NameSet* const kNames = Names(
      "adjoint alias alpha_dropout atleast_1d atleast_2d atleast_3d broadcast_tensors "
      "broadcast_to chunk conj contiguous detach diagonal dropout dsplit expand expand_as "
      "feature_alpha_dropout feature_dropout flatten hsplit lift lift_fresh linalg_diagonal mH "
      "mT matrix_H meshgrid moveaxis movedim narrow numpy_T permute positive ravel real reshape "
      "reshape_as resolve_conj resolve_neg select slice split split_with_sizes squeeze swapaxes "
      "swapdims t tensor_split to _to_copy transpose type_as unbind unflatten unfold "
      "unsafe_chunk unsafe_split unsafe_split_with_sizes _unsafe_view unsqueeze view view_as "
      "vsplit ");
  return *kNames;
}

// Elementwise and comparing operators; those with an in-place form are listed once, without '_'.
const NameSet& Elementwise() {
  static const NameSet* const kNames = Names(
      "abs absolute acos acosh add addcdiv addcmul __and__ arccos arccosh arcsin arcsinh arctan "
      "arctan2 arctanh asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not "
      "bitwise_or bitwise_right_shift bitwise_xor ceil celu clamp clamp_max clamp_min clip "
      "copysign cos cosh deg2rad digamma div divide elu eq erf erfc erfinv exp exp2 expm1 fill "
      "fix float_power floor floor_divide fmax fmin fmod frac ge gelu glu greater greater_equal "
      "gt hardshrink hardsigmoid hardswish hardtanh heaviside huber_loss hypot isclose isfinite "
      "isinf isnan isneginf isposinf le leaky_relu lerp less less_equal lgamma log log10 log1p "
      "log2 log_sigmoid logaddexp logaddexp2 logical_and logical_not logical_or logical_xor "
      "logit __lshift__ lt masked_fill maximum minimum mish mul multiply mvlgamma nan_to_num ne "
      "neg negative not_equal __or__ polygamma pow prelu _prelu_kernel rad2deg reciprocal relu "
      "relu6 remainder round __rshift__ rsqrt rsub selu sgn sigmoid sign signbit silu sin sinc "
      "sinh softplus softshrink special_entr special_erf special_erfc special_expit "
      "special_expm1 special_log1p special_log_ndtr special_ndtr special_xlog1py special_xlogy "
      "sqrt square sub subtract tan tanh threshold tril triu true_divide trunc where xlogy "
      "__xor__ zero ");
  return *kNames;
}

// Products, layers, attention, normalisation and pooling.
const NameSet& Layers() {
  static const NameSet* const kNames = Names(
      "adaptive_avg_pool1d _adaptive_avg_pool2d adaptive_avg_pool2d _adaptive_avg_pool3d "
      "adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d addbmm "
      "addmm addmv addr avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm bilinear bmm cdist "
      "chain_matmul channel_shuffle constant_pad_nd conv1d conv2d conv3d conv_transpose1d "
      "conv_transpose2d conv_transpose3d convolution _convolution cosine_similarity cross dot "
      "einsum embedding group_norm gru im2col inner instance_norm kron layer_norm linalg_cross "
      "linalg_matrix_norm linalg_multi_dot linalg_norm linalg_vecdot linalg_vector_norm linear "
      "local_response_norm lstm matmul max_pool1d max_pool2d max_pool2d_with_indices max_pool3d "
      "max_pool3d_with_indices mm mv _native_batch_norm_legit_no_training "
      "native_channel_shuffle native_dropout native_group_norm native_layer_norm normalize "
      "outer pad pairwise_distance pdist pixel_shuffle pixel_unshuffle reflection_pad1d "
      "reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d "
      "rms_norm rnn_relu rnn_tanh scaled_dot_product_attention tensordot upsample_bicubic2d "
      "upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d "
      "upsample_nearest3d upsample_trilinear3d vdot vecdot ");
  return *kNames;
}

// Reductions, softmax and losses.
const NameSet& Reductions() {
  static const NameSet* const kNames = Names(
      "all amax amin aminmax any argmax argmin argsort binary_cross_entropy "
      "binary_cross_entropy_with_logits bucketize cosine_embedding_loss count_nonzero "
      "cross_entropy_loss cummax cummin cumprod cumsum diff frobenius_norm hinge_embedding_loss "
      "kl_div kthvalue l1_loss _log_softmax log_softmax logcumsumexp logsumexp "
      "margin_ranking_loss max mean median min mse_loss multi_margin_loss "
      "multilabel_margin_loss nanmean nansum nll_loss nll_loss2d nll_loss_forward nll_loss_nd "
      "norm nuclear_norm poisson_nll_loss prod renorm _safe_softmax searchsorted smooth_l1_loss "
      "soft_margin_loss _softmax softmax softmin sort special_log_softmax special_logsumexp "
      "special_softmax std std_mean sum topk trace triplet_margin_loss var var_mean ");
  return *kNames;
}

// Making, joining, picking and placing; copies of what they read.
const NameSet& Indexing() {
  static const NameSet* const kNames = Names(
      "alias_copy arange block_diag cartesian_prod cat clone column_stack combinations concat "
      "concatenate copy copy_ detach_ detach_copy diag diag_embed diagflat diagonal_scatter "
      "dstack empty empty_like expand_copy eye flip fliplr flipud full full_like gather hstack "
      "index index_add index_copy index_fill index_put index_reduce index_select "
      "lift_fresh_copy linspace logspace masked_scatter narrow_copy new_empty new_full new_ones "
      "new_zeros one_hot ones ones_like permute_copy put repeat repeat_interleave roll rot90 "
      "row_stack scalar_tensor scatter scatter_add scatter_reduce select_copy select_scatter "
      "slice_copy slice_scatter squeeze_ squeeze_copy stack t_ t_copy take take_along_dim tile "
      "transpose_ transpose_copy tril_indices triu_indices unfold_copy _unsafe_index unsqueeze_ "
      "unsqueeze_copy vander view_copy vstack zeros zeros_like ");
  return *kNames;
}

// Sizes as numbers, and what export leaves behind of checks.
const NameSet& Checks() {
  static const NameSet* const kNames = Names(
      "_assert_async _assert_scalar _assert_tensor_metadata sym_constrain_range "
      "sym_constrain_range_for_size sym_numel sym_size ");
  return *kNames;
}

const NameSet& SymbolicNames() {
  static const NameSet* const kNames = Names(
      "math.trunc _operator.add _operator.and_ _operator.eq _operator.floordiv _operator.ge "
      "_operator.gt _operator.le _operator.lt _operator.mod _operator.mul _operator.ne "
      "_operator.neg _operator.or_ _operator.pos _operator.pow _operator.sub _operator.truediv "
      "torch.sym_float torch.sym_int torch.sym_ite torch.sym_max torch.sym_min torch.sym_not "
      "torch.sym_sqrt ");
  return *kNames;
}

bool IsAllowedAten(std::string_view name) {
  const auto listed = [](std::string_view wanted) {
    return Elementwise().count(wanted) + Layers().count(wanted) + Reductions().count(wanted) +
               Indexing().count(wanted) + Checks().count(wanted) + Aliasing().count(wanted) >
           0;
  };
  if (listed(name)) return true;
  return IsInPlace(name) && listed(name.substr(0, name.size() - 1));
}

}  // namespace

bool IsInPlace(std::string_view name) {
  const auto ends_with = [&](std::string_view end) {
    return name.size() > end.size() && name.substr(name.size() - end.size()) == end;
  };
  return ends_with("_") && !ends_with("__");
}

bool MayAlias(std::string_view name) { return IsInPlace(name) || Aliasing().count(name) > 0; }

OperatorName ResolveTarget(const std::string& target) {
  OperatorName resolved;
  if (target == "torch.ops.higher_order.wrap_with_set_grad_enabled") {
    resolved.kind = OperatorName::Kind::kSetGrad;
    return resolved;
  }
  if (SymbolicNames().count(target) > 0) {
    resolved.kind = OperatorName::Kind::kSymbolic;
    resolved.name = target.substr(target.rfind('.') + 1);
    return resolved;
  }
  const std::vector<std::string> parts =
      absl::StrSplit(target, '.');  // torch.ops.aten.<name>.<overload>
  if (parts.size() != 5 || parts[0] != "torch" || parts[1] != "ops" || parts[2] != "aten")
    return resolved;
  if (!IsAllowedAten(parts[3])) return resolved;
  resolved.kind = OperatorName::Kind::kAten;
  resolved.name = parts[3];
  resolved.overload = parts[4] == "default" ? "" : parts[4];
  return resolved;
}

}  // namespace bif::engine
