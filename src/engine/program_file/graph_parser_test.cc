#include "src/engine/program_file/graph_parser.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bif::engine {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<Argument> Parse(const char* text) { return ParseArgument(Json::parse(text)); }

TEST(GraphParser, ReadsEveryKindOfArgument) {
  EXPECT_EQ(Parse(R"({"as_none": true})")->type, ArgumentType::kNone);
  EXPECT_EQ(Parse(R"({"as_tensor": {"name": "x"}})")->elements[0].value, "x");
  EXPECT_EQ(std::get<int64_t>(Parse(R"({"as_int": -7})")->elements[0].literal), -7);
  EXPECT_EQ(std::get<int64_t>(Parse(R"({"as_sym_int": {"as_int": 5}})")->elements[0].literal), 5);
  EXPECT_EQ(Parse(R"({"as_sym_int": {"as_name": "s"}})")->elements[0].value, "s");
  EXPECT_EQ(std::get<bool>(Parse(R"({"as_bool": true})")->elements[0].literal), true);
  EXPECT_EQ(std::get<std::string>(Parse(R"({"as_string": "ij,jk"})")->elements[0].literal),
            "ij,jk");
  EXPECT_EQ(std::get<double>(Parse(R"({"as_float": 3})")->elements[0].literal), 3);

  const auto mixed = Parse(R"({"as_sym_ints": [{"as_int": 2}, {"as_name": "s"}]})");
  ASSERT_TRUE(mixed.ok());
  EXPECT_TRUE(mixed->is_list);
  EXPECT_EQ(std::get<int64_t>(mixed->elements[0].literal), 2);
  EXPECT_EQ(mixed->elements[1].value, "s");

  const auto optional =
      Parse(R"({"as_optional_tensors": [{"as_none": true}, {"as_tensor": {"name": "i"}}]})");
  ASSERT_TRUE(optional.ok());
  EXPECT_TRUE(std::holds_alternative<std::monostate>(optional->elements[0].literal));
  EXPECT_EQ(optional->elements[1].value, "i");
}

TEST(GraphParser, ReadsInfinitiesFromStrings) {
  EXPECT_EQ(std::get<double>(Parse(R"({"as_float": "-Infinity"})")->elements[0].literal),
            -INFINITY);
  EXPECT_EQ(std::get<double>(Parse(R"({"as_float": "Infinity"})")->elements[0].literal), INFINITY);
  EXPECT_FALSE(Parse(R"({"as_float": "much"})").ok());
}

TEST(GraphParser, RefusesWhatIsNoArgument) {
  for (const char* text :
       {"null", "3", "{}", R"({"as_int": 1, "as_bool": true})", R"({"as_int": "1"})",
        R"({"as_int": 1.5})", R"({"as_int": 18446744073709551615})", R"({"as_ints": 3})",
        R"({"as_tensor": {}})", R"({"as_tensor": {"name": ""}})", R"({"as_bool": 1})",
        R"({"as_sym_int": {"as_expr": 1}})", R"({"as_graph": {"name": "g"}})"}) {
    EXPECT_EQ(Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(GraphParser, NamesTheKindThatIsNotSupported) {
  const auto parsed = Parse(R"({"as_custom_obj": {"name": "q", "class_fqn": "Evil"}})");
  EXPECT_THAT(std::string(parsed.status().message()), HasSubstr("as_custom_obj"));
}

TEST(GraphParser, NamesTheNodeAndArgumentAtFault) {
  const Json node = {{"name", "mm_3"},
                     {"target", "torch.ops.aten.mm.default"},
                     {"outputs", Json::array()},
                     {"inputs", {{{"name", "mat2"}, {"arg", 4}}}}};
  Json graph = Json::parse(R"({"inputs": [], "outputs": [], "nodes": [], "tensor_values": {}})");
  graph["nodes"].push_back(node);
  EXPECT_THAT(std::string(ParseGraph(graph).status().message()),
              HasSubstr("node 'mm_3' (torch.ops.aten.mm.default): argument 'mat2'"));
}

TEST(GraphParser, RefusesGraphsNestedWithoutEnd) {
  Json graph = Json::parse(R"({"inputs": [], "outputs": [], "nodes": [], "tensor_values": {}})");
  for (int i = 0; i < 40; ++i) {
    Json outer = Json::parse(R"({"inputs": [], "outputs": [], "nodes": [], "tensor_values": {}})");
    outer["nodes"].push_back(
        {{"target", "t"},
         {"outputs", Json::array()},
         {"inputs", {{{"name", ""}, {"arg", {{"as_graph", {{"name", "g"}, {"graph", graph}}}}}}}}});
    graph = std::move(outer);
  }
  EXPECT_THAT(std::string(ParseGraph(graph).status().message()),
              HasSubstr("nested more than 16 deep"));
}

TEST(GraphParser, KeepsSymbolicSizesAsExpressions) {
  const auto meta = ParseTensorMeta(Json::parse(
      R"json({"dtype": 7, "requires_grad": true,
              "sizes": [{"as_expr": {"expr_str": "Symbol('s7')"}}, {"as_int": 3}]})json"));
  ASSERT_TRUE(meta.ok()) << meta.status();
  EXPECT_EQ(meta->sizes[0].size, -1);
  EXPECT_EQ(meta->sizes[0].expression, "Symbol('s7')");
  EXPECT_EQ(meta->sizes[1].size, 3);
  EXPECT_EQ(meta->dtype, GraphDType::kFloat);
}

}  // namespace
}  // namespace bif::engine
