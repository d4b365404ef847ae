// Page tokens that nobody gave out.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/integration/hostile_fixture.h"

namespace bif::server::testing {
namespace {

class HostilePageTokens : public HostileClients {};

// INVALID_ARGUMENT with the field page_token; UNIMPLEMENTED where the bytes are no UTF-8, as
// protobuf demands it of a string.
TEST_F(HostilePageTokens, PageTokensThatNobodyGaveOutAreRefused) {
  v1::ListSamplesRequest request;
  request.set_dataset(MakeDataset(server_, "listed", 30));
  request.set_page_size(10);
  v1::ListSamplesResponse page;
  ASSERT_TRUE(server_.Call("bif.v1.Datasets/ListSamples", request, page).ok());
  const std::string good = page.next_page_token();
  ASSERT_FALSE(good.empty());

  SeededBytes random(5);
  std::vector<std::string> tokens = {"x",
                                     "0",
                                     "-1",
                                     "18446744073709551616",
                                     good + "x",
                                     good + good,
                                     good.substr(0, good.size() / 2),
                                     std::string(100'000, 'A'),
                                     std::string(1, '\0'),
                                     "../../etc/passwd",
                                     "%00",
                                     "null"};
  for (int i = 0; i < 200; ++i) {
    std::string token;
    for (uint64_t length = 1 + random.Below(40); token.size() < length;)
      token += static_cast<char>(' ' + static_cast<char>(random.Below(95)));
    tokens.push_back(token);
  }
  v1::ListDatasetsRequest datasets;
  v1::ListDatasetsResponse dataset_page;
  datasets.set_page_token(good);  // a good one, of another listing
  EXPECT_EQ(server_.Call("bif.v1.Datasets/ListDatasets", datasets, dataset_page).field,
            "page_token");
  for (const std::string& token : tokens) {
    request.set_page_token(token);
    CallEnd end = server_.Call("bif.v1.Datasets/ListSamples", request, page);
    EXPECT_EQ(end.code, absl::StatusCode::kInvalidArgument) << token << " " << end;
    EXPECT_EQ(end.field, "page_token") << token;
    datasets.set_page_token(token);
    end = server_.Call("bif.v1.Datasets/ListDatasets", datasets, dataset_page);
    EXPECT_EQ(end.code, absl::StatusCode::kInvalidArgument) << token << " " << end;
  }
  EXPECT_EQ(server_.CallWithBytes("bif.v1.Datasets/ListDatasets", "\x12\x02\xff\xfe").code,
            absl::StatusCode::kUnimplemented);
  ExpectUnharmed();
}

}  // namespace
}  // namespace bif::server::testing
