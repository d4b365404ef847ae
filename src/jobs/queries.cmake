# The query half of the folder: traces of queries and candidates, and the answers made of them.
target_sources(bif_jobs PRIVATE
  candidates.cc draw_reader.cc observable_registry.cc draw_scan.cc evaluated_rows.cc group_influence.cc shared_scans.cc observable_checks.cc pair_queries.cc pair_scores.cc parallel_for.cc pathwise_checks.cc pathwise_queries.cc posterior_traces.cc queries.cc query_rows.cc ranking_groups.cc refine_queries.cc refinement.cc resumable_stream.cc row_tracer.cc score_streams.cc scoring.cc
  sequences.cc slope_planning.cc slope_table.cc stretch_plan.cc tangent_plans.cc tangent_replay.cc tangent_run.cc tangent_session.cc trace_cache.cc trace_index.cc trace_operation.cc token_influence.cc)
target_link_libraries(bif_jobs PRIVATE absl::cleanup PUBLIC bif::attribution)

foreach(name admission_cache taken_together ranking_groups queries group_influence shared_scans carried_rows trace_operation query_damage query_observables token_influence token_posterior trace_index
             observable_registry query_helpers pathwise_queries pathwise_sequences refine_queries refinement slope_table stretch_plan)
  bif_test(${name}_test SRCS ${name}_test.cc DEPS bif::jobs bif::fake_engine bif::attribution)
endforeach()
