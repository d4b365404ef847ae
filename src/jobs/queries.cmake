# The query half of the folder: traces of queries and candidates, and the answers made of them.
target_sources(bif_jobs PRIVATE
  candidates.cc draw_reader.cc observable_registry.cc draw_scan.cc evaluated_rows.cc shared_scans.cc observable_checks.cc parallel_for.cc posterior_traces.cc queries.cc query_rows.cc ranking_groups.cc row_tracer.cc score_streams.cc scoring.cc
  sequences.cc trace_cache.cc trace_index.cc trace_operation.cc token_influence.cc)
target_link_libraries(bif_jobs PRIVATE absl::cleanup PUBLIC bif::attribution)

foreach(name admission_cache ranking_groups queries shared_scans carried_rows trace_operation query_damage query_observables token_influence token_posterior trace_index
             observable_registry query_helpers)
  bif_test(${name}_test SRCS ${name}_test.cc DEPS bif::jobs bif::fake_engine bif::attribution)
endforeach()
