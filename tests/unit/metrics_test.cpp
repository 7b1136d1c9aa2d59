#include <gtest/gtest.h>

#include "metrics/exposition.hpp"
#include "support/exposition.hpp"
#include "support/findings.hpp"

namespace surveyd::test {
namespace {

using namespace std::chrono_literals;

Exposition exposition(const Survey& survey) {
  return Exposition{metrics::of_survey(survey, {}, {"1.2", "abc", "GNU 12", "6.1.0"})};
}

Exposition exposition(metrics::Counters& counters) {
  return Exposition{counters.text(0, 0)};
}

Survey survey_of(std::vector<Finding> findings, Mode mode = Mode::degraded) {
  Survey survey;
  survey.findings = Findings{std::move(findings)};
  survey.capabilities.effective_mode = mode;
  return survey;
}

TEST(SurveyMetrics, HaveTheFamiliesOfTheContract) {
  const auto types = exposition(survey_of({found("is_root", Status::yes)})).types;
  for (const char* family :
       {"surveyd_capability", "surveyd_capability_unknown", "surveyd_mode", "surveyd_assessed_mode",
        "surveyd_environment_info", "surveyd_build_info", "surveyd_survey_generation",
        "surveyd_survey_timestamp_seconds", "surveyd_probe_duration_seconds",
        "surveyd_cgroup_controller_delegated", "process_resident_memory_bytes",
        "process_virtual_memory_bytes", "process_open_fds", "process_max_fds",
        "process_start_time_seconds"}) {
    ASSERT_TRUE(types.contains(family)) << family;
    EXPECT_EQ(types.at(family), "gauge") << family;
  }
}

TEST(CounterMetrics, HaveTheFamiliesOfTheContract) {
  metrics::Counters counters;
  counters.surveyed(nullptr, survey_of({found("is_root", Status::yes)}));
  const auto types = exposition(counters).types;
  for (const char* family : {"surveyd_probe_failures_total", "surveyd_capability_changes_total",
                             "surveyd_mode_changes_total", "surveyd_cgroup_operations_total",
                             "surveyd_http_requests_total", "process_cpu_seconds_total"}) {
    ASSERT_TRUE(types.contains(family)) << family;
    EXPECT_EQ(types.at(family), "counter") << family;
  }
  EXPECT_EQ(types.at("surveyd_survey_duration_seconds"), "histogram");
  EXPECT_EQ(types.at("surveyd_http_request_duration_seconds"), "histogram");
  EXPECT_EQ(types.at("surveyd_http_connections"), "gauge");
}

TEST(AllMetrics, ShareNoFamily) {
  metrics::Counters counters;
  const auto ours = exposition(counters).types;
  for (const auto& [family, type] : exposition(Survey{}).types)
    EXPECT_FALSE(ours.contains(family)) << family;
}

TEST(CapabilityMetric, IsAbsentWhileUnknown) {
  const auto metrics =
      exposition(survey_of({found("is_root", Status::yes), found("is_nested", Status::no),
                            found("container", Status::unknown)}));
  EXPECT_EQ(metrics.value(R"(surveyd_capability{capability="is_root"})"), 1);
  EXPECT_EQ(metrics.value(R"(surveyd_capability{capability="is_nested"})"), 0);
  EXPECT_FALSE(metrics.has(R"(surveyd_capability{capability="container"})"));
  EXPECT_EQ(metrics.value(R"(surveyd_capability_unknown{capability="is_root"})"), 0);
  EXPECT_EQ(metrics.value(R"(surveyd_capability_unknown{capability="is_nested"})"), 0);
  EXPECT_EQ(metrics.value(R"(surveyd_capability_unknown{capability="container"})"), 1);
}

TEST(ModeMetric, HasASeriesForEachModeAndOneIsSet) {
  for (const Mode current : {Mode::full, Mode::nested_adaptive, Mode::degraded})
    for (const Mode assessed : {Mode::full, Mode::nested_adaptive, Mode::degraded}) {
      Survey survey = survey_of({}, current);
      survey.assessment.mode = assessed;
      const auto metrics = exposition(survey);
      EXPECT_EQ(metrics.count("surveyd_mode"), 3U);
      EXPECT_EQ(metrics.count("surveyd_assessed_mode"), 3U);
      for (const std::string mode : {"full", "nested_adaptive", "degraded"}) {
        EXPECT_EQ(metrics.value("surveyd_mode{mode=\"" + mode + "\"}"), mode == to_string(current));
        EXPECT_EQ(metrics.value("surveyd_assessed_mode{mode=\"" + mode + "\"}"),
                  mode == to_string(assessed));
      }
    }
}

TEST(ProbeDuration, IsInSeconds) {
  Finding slow = found("container", Status::no);
  slow.duration = 1500ms;
  const auto metrics = exposition(survey_of({slow}));
  EXPECT_DOUBLE_EQ(metrics.value(R"(surveyd_probe_duration_seconds{probe="container"})"), 1.5);
}

TEST(SurveyMetrics, TellWhichSurveyAndWhen) {
  Survey survey;
  survey.run.generation = 7;
  survey.run.surveyed_at = std::chrono::system_clock::time_point{1700000000250ms};
  const auto metrics = exposition(survey);
  EXPECT_EQ(metrics.value("surveyd_survey_generation"), 7);
  EXPECT_DOUBLE_EQ(metrics.value("surveyd_survey_timestamp_seconds"), 1700000000.25);
}

TEST(BuildInfo, NamesTheBuild) {
  EXPECT_EQ(exposition(Survey{}).value(
                R"(surveyd_build_info{version="1.2",revision="abc",compiler="GNU 12"})"),
            1);
}

std::string environment(const std::string& parent) {
  Survey survey = survey_of({found("cgroup_version", Status::yes, "v2")});
  survey.capabilities.cgroup_parent = parent;
  for (const auto& [series, value] : exposition(survey).values)
    if (series.starts_with("surveyd_environment_info")) return series;
  return "absent";
}

std::string environment_with(const std::string& label) {
  return "surveyd_environment_info{cgroup_parent=\"" + label +
         R"(",cgroup_version="v2",kernel="6.1.0"})";
}

struct LabelRow {
  const char* parent;
  const char* label;
};

constexpr LabelRow label_rows[] = {
    {"", ""},
    {"/a b", "/a b"},
    {"/a\"b", R"(/a\"b)"},
    {"/a\\b", R"(/a\\b)"},
    {"/a\nb", R"(/a\nb)"},
    {"/\xc3\xa9", "/\xc3\xa9"},
    {"/\xf0\x9f\x90\xa7", "/\xf0\x9f\x90\xa7"},
    {"/\xff", "/\xef\xbf\xbd"},
    {"/\xc3", "/\xef\xbf\xbd"},
    {"/\xc3(", "/\xef\xbf\xbd("},
    {"/\x80x", "/\xef\xbf\xbdx"},
    {"/\xc0\xaf", "/\xef\xbf\xbd\xef\xbf\xbd"},
    {"/\xed\xa0\x80", "/\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"/\xe0\x80\xaf", "/\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"/\xf4\x90\x80\x80", "/\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"/\xf0\x9f\x90", "/\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}};

TEST(EnvironmentInfo, CarriesAnyCgroupNameAsUtf8) {
  for (const auto& [parent, label] : label_rows)
    EXPECT_EQ(environment(parent), environment_with(label)) << parent;
}

TEST(ControllerMetric, HasASeriesForEachControllerUnlessNothingIsKnown) {
  const auto metrics =
      exposition(survey_of({found("cgroup_delegation", Status::no, "cpuset pids unheard_of")}));
  EXPECT_EQ(metrics.value(R"(surveyd_cgroup_controller_delegated{controller="cpuset"})"), 1);
  EXPECT_EQ(metrics.value(R"(surveyd_cgroup_controller_delegated{controller="cpu"})"), 0);
  EXPECT_EQ(metrics.value(R"(surveyd_cgroup_controller_delegated{controller="pids"})"), 1);
  EXPECT_FALSE(metrics.has(R"(surveyd_cgroup_controller_delegated{controller="unheard_of"})"));
  EXPECT_EQ(exposition(Survey{}).count("surveyd_cgroup_controller_delegated"), 0U);
}

TEST(ProcessMetrics, AreInBaseUnits) {
  const Exposition metrics{metrics::of_survey({}, {4096, 8192, 12, 1024, 1700000000.5}, {})};
  EXPECT_EQ(metrics.value("process_resident_memory_bytes"), 4096);
  EXPECT_EQ(metrics.value("process_virtual_memory_bytes"), 8192);
  EXPECT_EQ(metrics.value("process_open_fds"), 12);
  EXPECT_EQ(metrics.value("process_max_fds"), 1024);
  EXPECT_DOUBLE_EQ(metrics.value("process_start_time_seconds"), 1700000000.5);
  EXPECT_DOUBLE_EQ(Exposition{metrics::Counters{}.text(1.25, 0)}.value("process_cpu_seconds_total"),
                   1.25);
}

std::vector<std::pair<std::string, double>> buckets(const std::string& text,
                                                    const std::string& family) {
  std::vector<std::pair<std::string, double>> result;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(family + "_bucket{")) continue;
    const auto bound = line.find("le=\"") + 4;
    result.emplace_back(line.substr(bound, line.find('"', bound) - bound),
                        std::stod(line.substr(line.rfind(' '))));
  }
  return result;
}

TEST(RequestHistogram, IsCumulative) {
  metrics::Counters counters;
  for (const auto duration : {5us, 10us, 11us, 5000us})
    counters.request("GET", "/capabilities", 200, duration);
  counters.request("GET", "/capabilities", 200, 2min);
  const std::string text = counters.text(0, 0);
  const auto all = buckets(text, "surveyd_http_request_duration_seconds");
  ASSERT_EQ(all.size(), 10U);
  EXPECT_EQ(all.front().second, 2);  // a value on the bound lies below it
  EXPECT_EQ(all[1].second, 3);
  EXPECT_EQ(all[8].second, 4);
  EXPECT_EQ(all.back(), (std::pair<std::string, double>{"+Inf", 5}));
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_GE(all[i].second, all[i - 1].second);
  const Exposition metrics{text};
  const std::string labels = R"({method="GET",route="/capabilities",code="200"})";
  EXPECT_EQ(metrics.value("surveyd_http_request_duration_seconds_count" + labels), 5);
  EXPECT_NEAR(metrics.value("surveyd_http_request_duration_seconds_sum" + labels), 120.005026,
              1e-9);
  EXPECT_EQ(metrics.value("surveyd_http_requests_total" + labels), 5);
}

TEST(RequestCounter, TellsMethodsRoutesAndCodesApart) {
  metrics::Counters counters;
  counters.request("GET", "/metrics", 200, 1us);
  counters.request("GET", "/metrics", 304, 1us);
  counters.request("HEAD", "/metrics", 200, 1us);
  counters.request("GET", "unmatched", 404, 1us);
  counters.request("GET", "unmatched", 404, 1us);
  const auto metrics = exposition(counters);
  EXPECT_EQ(metrics.count("surveyd_http_requests_total"), 4U);
  EXPECT_EQ(
      metrics.value(R"(surveyd_http_requests_total{method="GET",route="unmatched",code="404"})"),
      2);
}

TEST(SurveyHistogram, TakesEachSurvey) {
  metrics::Counters counters;
  Survey survey;
  survey.run.duration = 2ms;
  counters.surveyed(nullptr, survey);
  survey.run.duration = 1min;
  counters.surveyed(&survey, survey);
  const auto metrics = exposition(counters);
  EXPECT_EQ(metrics.value("surveyd_survey_duration_seconds_count"), 2);
  EXPECT_NEAR(metrics.value("surveyd_survey_duration_seconds_sum"), 60.002, 1e-9);
  EXPECT_EQ(metrics.value(R"(surveyd_survey_duration_seconds_bucket{le="10"})"), 1);
  EXPECT_EQ(metrics.value(R"(surveyd_survey_duration_seconds_bucket{le="+Inf"})"), 2);
}

constexpr const char* changes = R"(surveyd_capability_changes_total{capability="is_root"})";

TEST(CapabilityChanges, BeginAtZeroAndCountEachWay) {
  metrics::Counters counters;
  const Survey yes = survey_of({found("is_root", Status::yes)});
  const Survey unknown = survey_of({found("is_root", Status::unknown)});
  counters.surveyed(nullptr, yes);
  EXPECT_EQ(exposition(counters).value(changes), 0);
  counters.surveyed(&yes, yes);
  EXPECT_EQ(exposition(counters).value(changes), 0);
  counters.surveyed(&yes, unknown);
  counters.surveyed(&unknown, yes);
  EXPECT_EQ(exposition(counters).value(changes), 2);
}

TEST(ProbeFailures, CountWhatFailedAndNotWhatIsUnknown) {
  metrics::Counters counters;
  Finding failed = found("is_root", Status::unknown);
  failed.failed = true;
  const Survey survey = survey_of({failed, found("container", Status::unknown)});
  counters.surveyed(nullptr, survey);
  counters.surveyed(&survey, survey);
  const auto metrics = exposition(counters);
  EXPECT_EQ(metrics.value(R"(surveyd_probe_failures_total{probe="is_root"})"), 2);
  EXPECT_EQ(metrics.value(R"(surveyd_probe_failures_total{probe="container"})"), 0);
}

TEST(ModeChanges, CountFromAndTo) {
  metrics::Counters counters;
  const Survey full = survey_of({}, Mode::full);
  const Survey degraded = survey_of({}, Mode::degraded);
  counters.surveyed(nullptr, full);
  counters.surveyed(&full, full);
  // Every pair is there from the start: the first increase of a new series would go unseen.
  EXPECT_EQ(exposition(counters).count("surveyd_mode_changes_total"), 6U);
  EXPECT_EQ(exposition(counters).value(R"(surveyd_mode_changes_total{from="full",to="degraded"})"),
            0);
  counters.surveyed(&full, degraded);
  const auto metrics = exposition(counters);
  EXPECT_EQ(metrics.value(R"(surveyd_mode_changes_total{from="full",to="degraded"})"), 1);
}

TEST(CgroupOperations, CountByResult) {
  metrics::Counters counters;
  counters.cgroup_operation("ensure", "ok");
  counters.cgroup_operation("ensure", "ok");
  counters.cgroup_operation("remove", "refused");
  const auto metrics = exposition(counters);
  EXPECT_EQ(metrics.value(R"(surveyd_cgroup_operations_total{operation="ensure",result="ok"})"), 2);
  EXPECT_EQ(
      metrics.value(R"(surveyd_cgroup_operations_total{operation="remove",result="refused"})"), 1);
}

TEST(Connections, GoUpAndDown) {
  metrics::Counters counters;
  counters.connections("unix", 0);
  counters.connections("tcp", 1);
  counters.connections("tcp", 1);
  counters.connections("tcp", -1);
  const auto metrics = exposition(counters);
  EXPECT_EQ(metrics.value(R"(surveyd_http_connections{listener="tcp"})"), 1);
  EXPECT_EQ(metrics.value(R"(surveyd_http_connections{listener="unix"})"), 0);
}

// What has not changed is not made again, and what has is.
TEST(CounterMetrics, FollowEveryChange) {
  metrics::Counters counters;
  const auto value = [&counters](const char* series) { return exposition(counters).value(series); };
  const Survey survey = survey_of({found("is_root", Status::yes)});
  for (int turn = 1; turn <= 3; ++turn) {
    counters.request("GET", "/healthz", 200, 1us);
    counters.connections("tcp", 1);
    counters.rejected("malformed");
    counters.cgroup_operation("ensure", "ok");
    counters.cgroup_drift("cpu");
    counters.containers(1, static_cast<std::size_t>(turn), 0);
    counters.surveyed(turn > 1 ? &survey : nullptr, survey);
    EXPECT_EQ(value("surveyd_http_requests_total{method=\"GET\",route=\"/healthz\",code=\"200\"}"),
              turn);
    EXPECT_EQ(value("surveyd_http_request_duration_seconds_count{method=\"GET\",route=\"/healthz\","
                    "code=\"200\"}"),
              turn);
    EXPECT_EQ(value("surveyd_http_connections{listener=\"tcp\"}"), turn);
    EXPECT_EQ(value("surveyd_http_rejected_total{reason=\"malformed\"}"), turn);
    EXPECT_EQ(value("surveyd_cgroup_operations_total{operation=\"ensure\",result=\"ok\"}"), turn);
    EXPECT_EQ(value("surveyd_cgroup_drift_total{controller=\"cpu\"}"), turn);
    EXPECT_EQ(value("surveyd_cgroup_containers{state=\"empty\"}"), turn);
    EXPECT_EQ(value("surveyd_survey_duration_seconds_count"), turn);
    EXPECT_EQ(counters.text(0, 0), counters.text(0, 0));
  }
}

}  // namespace
}  // namespace surveyd::test
