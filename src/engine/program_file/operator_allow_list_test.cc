#include "src/engine/program_file/operator_allow_list.h"

#include "gtest/gtest.h"

namespace bif::engine {
namespace {

using Kind = OperatorName::Kind;

TEST(OperatorAllowList, KnowsTensorMathematics) {
  const OperatorName resolved = ResolveTarget("torch.ops.aten.slice.Tensor");
  EXPECT_EQ(resolved.kind, Kind::kAten);
  EXPECT_EQ(resolved.name, "slice");
  EXPECT_EQ(resolved.overload, "Tensor");
  EXPECT_EQ(ResolveTarget("torch.ops.aten.conv2d.default").overload, "");
  EXPECT_EQ(ResolveTarget("torch.ops.aten.relu_.default").kind, Kind::kAten);
  EXPECT_EQ(ResolveTarget("torch.ops.aten.__and__.Tensor").kind, Kind::kAten);
  EXPECT_EQ(ResolveTarget("_operator.floordiv").kind, Kind::kSymbolic);
  EXPECT_EQ(ResolveTarget("_operator.floordiv").name, "floordiv");
  EXPECT_EQ(ResolveTarget("torch.ops.higher_order.wrap_with_set_grad_enabled").kind,
            Kind::kSetGrad);
}

TEST(OperatorAllowList, RefusesEverythingElse) {
  for (const char* target : {"torch.ops.aten.from_file.default",
                             "torch.ops.aten.set_.source_Storage",
                             "torch.ops.aten.resize_.default",
                             "torch.ops.aten.as_strided.default",
                             "torch.ops.aten.rand.default",
                             "torch.ops.aten.bernoulli.default",
                             "torch.ops.aten._local_scalar_dense.default",
                             "torch.ops.aten.data_ptr.default",
                             "torch.ops.prims.add.default",
                             "torch.ops.mine.add.default",
                             "torch.ops.aten.add",
                             "torch.ops.aten.add.Tensor.more",
                             "_operator.call",
                             "_operator.attrgetter",
                             "torch.ops.higher_order.cond",
                             "os.system",
                             "",
                             "torch.ops.aten._.default",
                             "torch.ops.aten.conv2d_out.default",
                             "torch.ops.aten._reshape_alias.default"}) {
    EXPECT_EQ(ResolveTarget(target).kind, Kind::kForbidden) << target;
  }
}

TEST(OperatorAllowList, TellsWritersAndViews) {
  EXPECT_TRUE(IsInPlace("add_"));
  EXPECT_FALSE(IsInPlace("__and__"));
  EXPECT_FALSE(IsInPlace("add"));
  EXPECT_TRUE(MayAlias("view"));
  EXPECT_TRUE(MayAlias("mul_"));
  EXPECT_FALSE(MayAlias("clone"));
}

}  // namespace
}  // namespace bif::engine
