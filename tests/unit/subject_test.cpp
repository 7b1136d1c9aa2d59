#include <array>
#include <cerrno>
#include <csignal>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/pinned_process.hpp"
#include "host/systemd_unit.hpp"
#include "parse/credentials.hpp"
#include "parse/id_map.hpp"
#include "parse/proc_stat.hpp"
#include "probes/on_behalf.hpp"
#include "run/subject_survey.hpp"

namespace surveyd {
namespace {

constexpr const char* status =
    "Name:\tsleep\nTgid:\t7\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t4 27 \n"
    "CapInh:\t0000000000000001\nCapPrm:\t0000000000003000\nCapEff:\t0000000000001000\n"
    "CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000002\nNoNewPrivs:\t1\nSeccomp:\t2\n";

TEST(Credentials, AreReadFromStatus) {
  const auto found = parse::credentials(status);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->uids, (std::array<unsigned, 4>{1, 2, 3, 4}));
  EXPECT_EQ(found->gids, (std::array<unsigned, 4>{5, 6, 7, 8}));
  EXPECT_EQ(found->groups, (std::vector<unsigned>{4, 27}));
  EXPECT_EQ(found->inheritable, 1U);
  EXPECT_EQ(found->permitted, 0x3000U);
  EXPECT_EQ(found->effective, 0x1000U);
  EXPECT_EQ(found->bounding, 0x1ffffffffffU);
  EXPECT_EQ(found->ambient, 2U);
  EXPECT_EQ(found->no_new_privileges, true);
  EXPECT_EQ(found->seccomp_mode, 2);
}

TEST(Credentials, OfAnOldKernelLackWhatItDoesNotKnow) {
  std::string text{status};
  text.resize(text.find("CapAmb"));
  const auto found = parse::credentials(text);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->ambient, 0U);
  EXPECT_EQ(found->no_new_privileges, std::nullopt);
  EXPECT_EQ(found->seccomp_mode, std::nullopt);
}

TEST(Credentials, NeedEveryLineThatAProcessHas) {
  for (const char* key : {"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd"}) {
    std::string text{status};
    text.replace(text.find(std::string{"\n"} + key) + 1, 1, "X");
    EXPECT_FALSE(parse::credentials(text)) << key;
  }
  EXPECT_FALSE(parse::credentials(""));
}

TEST(Credentials, BelongToAUserWhoseIdsAllThreeAre) {
  parse::Credentials held;
  held.uids = {5, 5, 5, 0};
  EXPECT_TRUE(held.belongs_to(5));
  for (const std::size_t other : {0U, 1U, 2U}) {
    parse::Credentials changed = held;
    changed.uids[other] = 0;
    EXPECT_FALSE(changed.belongs_to(5)) << other;
    EXPECT_FALSE(changed.belongs_to(0)) << other;
  }
}

TEST(IdMap, GivesTheIdInside) {
  const char* map = "         0       1000          1\n         1     100000      65536\n";
  EXPECT_EQ(parse::id_inside(map, 1000), 0U);
  EXPECT_EQ(parse::id_inside(map, 100001), 2U);
  EXPECT_EQ(parse::id_inside(map, 165536), std::nullopt);
  EXPECT_EQ(parse::id_inside(map, 0), std::nullopt);
  EXPECT_EQ(parse::id_inside("", 0), std::nullopt);
}

TEST(Environment, EntriesEndWithNul) {
  using namespace std::string_view_literals;
  EXPECT_EQ(parse::environment_variable("XPATH=/x\0PATH=/bin:/b=c\0A=\0"sv, "PATH"), "/bin:/b=c");
  EXPECT_EQ(parse::environment_variable("PATHS=/x\0"sv, "PATH"), std::nullopt);
  EXPECT_EQ(parse::environment_variable("PATH=\0"sv, "PATH"), "");
  EXPECT_EQ(parse::environment_variable("PATH=/cut"sv, "PATH"), "/cut");
  EXPECT_EQ(parse::environment_variable(""sv, "PATH"), std::nullopt);
}

TEST(CgroupV1, PathIsFoundByTheWholeNameOfAController) {
  const char* text = "5:devices:/a:b\n4:cpu,cpuacct:/c\n1:name=systemd:/d\n0::/e\n";
  EXPECT_EQ(parse::cgroup_v1_path(text, "devices"), "/a:b");
  EXPECT_EQ(parse::cgroup_v1_path(text, "cpuacct"), "/c");
  EXPECT_EQ(parse::cgroup_v1_path(text, "device"), std::nullopt);
  EXPECT_EQ(parse::cgroup_v1_path(text, ""), std::nullopt);
}

constexpr const char* stat_of =
    "7 (a) b) S 1 7 7 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 1 0 123456 8 9 18446744073709551615 1";

TEST(PinnedProcess, IsTheOneThatStartedThen) {
  const auto stat = parse::process_stat(stat_of);
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->start_time, 123456U);
  EXPECT_FALSE(not_the_process(*stat, std::nullopt));
  EXPECT_FALSE(not_the_process(*stat, 123456));
  EXPECT_TRUE(not_the_process(*stat, 123457));
}

TEST(PinnedProcess, IsNoZombieAndNoThreadOfTheKernel) {
  auto stat = *parse::process_stat(stat_of);
  stat.state = 'Z';
  EXPECT_TRUE(not_the_process(stat, std::nullopt));
  stat.state = 'S';
  stat.flags = 0x00200000;
  EXPECT_TRUE(not_the_process(stat, std::nullopt));
}

TEST(PinnedProcess, CanBeThisOneWithItsStartTimeAlone) {
  const auto own = PinnedProcess::pin(::getpid());
  ASSERT_TRUE(own) << to_string(own.error());
  EXPECT_TRUE(own->still_there());
  EXPECT_TRUE(PinnedProcess::pin(::getpid(), own->start_time()));
  const auto other = PinnedProcess::pin(::getpid(), own->start_time() + 1);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Fault::no_such_process);
}

TEST(PinnedProcess, IsGoneWhenItHasEnded) {
  const pid_t child = ::fork();
  if (child == 0) ::pause();
  const auto process = PinnedProcess::pin(child);
  ASSERT_TRUE(process) << to_string(process.error());
  EXPECT_TRUE(process->still_there());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(process->still_there());
  const auto text = process->read("status");
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Fault::no_such_process);
}

TEST(SubjectOrder, IsReadBackFromArguments) {
  run::SubjectOrder order{.pid = 7,
                          .start_time = 99,
                          .owner = 0,
                          .storage = {"/var/lib", "/srv"},
                          .plan = {.name = "z", .base = "/b"}};
  const auto back = run::subject_order_of(run::arguments_of(order));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->pid, 7);
  EXPECT_EQ(back->start_time, 99U);
  EXPECT_EQ(back->owner, 0U);
  EXPECT_EQ(back->storage, order.storage);
  EXPECT_EQ(back->plan.name, "z");
  order.start_time.reset();
  order.owner.reset();
  const auto open = run::subject_order_of(run::arguments_of(order));
  ASSERT_TRUE(open);
  EXPECT_EQ(open->start_time, std::nullopt);
  EXPECT_EQ(open->owner, std::nullopt);
}

TEST(SubjectOrder, IsNothingElse) {
  using Words = std::vector<std::string>;
  for (const Words& words :
       {Words{}, Words{"verify"}, Words{"survey", "7"}, Words{"survey", "x", "-", "-", "n", ""},
        Words{"survey", "7", "", "-", "n", ""}, Words{"survey", "7", "-", "-1", "n", ""}})
    EXPECT_FALSE(run::subject_order_of(words));
}

TEST(LastLine, KeepsTheError) {
  Error error = os_error(EACCES, "open", "/proc/7/status");
  error.detail = "two\nlines";
  const auto back = run::outcome_of(run::last_line_of(error));
  ASSERT_TRUE(back && !*back);
  EXPECT_EQ(back->error().code, std::errc::permission_denied);
  EXPECT_EQ(back->error().op, "open");
  EXPECT_EQ(back->error().path, "/proc/7/status");
  EXPECT_EQ(back->error().detail, "two lines");

  const auto fault = run::outcome_of(run::last_line_of(Error{.code = Fault::no_such_process}));
  ASSERT_TRUE(fault && !*fault);
  EXPECT_EQ(fault->error().code, Fault::no_such_process);
}

TEST(LastLine, IsToldFromAFinding) {
  const auto end = run::outcome_of(run::last_line_of({}));
  EXPECT_TRUE(end && *end);
  EXPECT_FALSE(run::outcome_of("{\"id\": \"is_root\"}"));
  EXPECT_FALSE(run::outcome_of("error\tno code"));
}

struct DoubtCase {
  Status status;
  bool of_yes;
  bool of_no;
  Status expected;
};

TEST(Doubts, TakeBackOnlyTheAnswersThatTheyAreAbout) {
  for (const DoubtCase& row : {DoubtCase{Status::yes, true, false, Status::unknown},
                               DoubtCase{Status::yes, false, true, Status::yes},
                               DoubtCase{Status::no, true, false, Status::no},
                               DoubtCase{Status::no, false, true, Status::unknown},
                               DoubtCase{Status::unknown, true, true, Status::unknown}}) {
    Finding finding;
    finding.status = row.status;
    finding.code = ReasonCode::available;
    finding.remedy = Remedy{"do this", ""};
    apply_doubts(finding, {{.of_yes = row.of_yes, .of_no = row.of_no, .why = "a filter"}});
    EXPECT_EQ(finding.status, row.expected);
    const bool taken_back = row.status != row.expected;
    EXPECT_EQ(finding.code == ReasonCode::subject_out_of_reach, taken_back);
    EXPECT_EQ(finding.remedy.has_value(), !taken_back);
  }
}

TEST(OutOfReach, SaysNothing) {
  EXPECT_TRUE(is_inconclusive(out_of_reach("open", "/dev/kvm", "why").code));
  EXPECT_FALSE(is_inconclusive(make_error_code(Fault::no_such_process)));
}

TEST(ServiceName, IsOneThatSystemdTakes) {
  for (const char* good : {"nginx", "nginx.service", "a@b.service", "dev-\\x2d.service"})
    EXPECT_TRUE(is_service_name(good)) << good;
  for (const char* bad : {"", "a b", "a/b", ".service", "a\n"})
    EXPECT_FALSE(is_service_name(bad)) << bad;
}

}  // namespace
}  // namespace surveyd
