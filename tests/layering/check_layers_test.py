"""The negative control of the test `layering`: what must be refused is refused, and what is fine is not."""

import unittest

from check_layers import fault

WRONG = [
    ("src/base/digest.h", "src/storage/catalog.h"),
    ("src/attribution/estimator.cc", "src/engine/engine.h"),
    ("src/attribution/estimator.cc", "ATen/ATen.h"),
    ("src/attribution/estimator.cc", "bif/v1/types.pb.h"),
    ("src/engine/parameters.cc", "torch/torch.h"),
    ("src/engine/engine.h", "src/engine/torch/model.h"),
    ("src/jobs/posterior_job.cc", "src/engine/torch/model.h"),
    ("src/jobs/posterior_job.cc", "bif/v1/posteriors.pb.h"),
    ("src/jobs/posterior_job.cc", "rocksdb/db.h"),
    ("src/jobs/posterior_job.cc", "grpcpp/grpcpp.h"),
    ("src/jobs/posterior_job.cc", "src/storage/rocksdb/catalog.h"),
    ("src/jobs/posterior_job.cc", "tests/support/fake_engine.h"),
    ("src/storage/catalog.h", "rocksdb/db.h"),
    ("src/engine/torch/model.cc", "google/protobuf/message.h"),
    ("server/posteriors_service.cc", "ATen/ATen.h"),
    ("server/posteriors_service.cc", "src/storage/rocksdb/catalog.h"),
    ("server/posteriors_service.cc", "client/connection.h"),
    ("client/connection.cc", "src/base/status.h"),
    ("client/connection.cc", "server/server.h"),
    ("client/connection.cc", "bif/config/v1/config.pb.h"),
    ("src/jobs/posterior_job.cc", "bif/config/v1/config.pb.h"),
    ("client/connection.cc", "grpcpp/server_builder.h"),
]

RIGHT = [
    ("src/base/digest.cc", "src/base/digest.h"),
    ("src/base/digest.cc", "openssl/evp.h"),
    ("src/storage/rocksdb/catalog.cc", "rocksdb/db.h"),
    ("src/storage/rocksdb/catalog.cc", "src/storage/catalog.h"),
    ("src/storage/rocksdb/catalog.cc", "bif/storage/v1/catalog.pb.h"),
    ("src/engine/torch/model.cc", "torch/csrc/autograd/autograd.h"),
    ("src/engine/torch/model.cc", "src/engine/engine.h"),
    ("src/jobs/posterior_job.cc", "src/engine/engine.h"),
    ("server/posteriors_service.cc", "bif/v1/posteriors.grpc.pb.h"),
    ("server/posteriors_service.cc", "grpcpp/server_context.h"),
    ("server/config_file.cc", "bif/config/v1/config.pb.h"),
    ("client/connection.cc", "google/longrunning/operations_proto.pb.h"),
    ("src/storage/store.cc", "src/storage/rocksdb/catalog.h"),
    ("src/jobs/posterior_job_test.cc", "tests/support/fake_engine.h"),
    ("tests/support/fake_engine.h", "src/engine/engine.h"),
]


class Layers(unittest.TestCase):
    def test_what_points_the_wrong_way_is_refused(self):
        for path, include in WRONG:
            with self.subTest(path=path, include=include):
                self.assertIsNotNone(fault(path, include))

    def test_what_points_the_right_way_passes(self):
        for path, include in RIGHT:
            with self.subTest(path=path, include=include):
                self.assertIsNone(fault(path, include))


if __name__ == "__main__":
    unittest.main()
