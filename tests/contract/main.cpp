#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <string_view>

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "support/fake_cgroup_host.hpp"

namespace {

// Counts the cases that ran to their end in each world; a skipped one proves nothing.
class WorldCounter final : public testing::EmptyTestEventListener {
 public:
  void OnTestEnd(const testing::TestInfo& test) override {
    if (test.result()->Skipped()) return;
    const std::string_view name{test.name()};
    if (name.ends_with("/fake"))
      ++fake_;
    else if (name.ends_with("/kernel"))
      ++kernel_;
    else
      ++errnos_;
  }
  void OnTestProgramEnd(const testing::UnitTest&) override {
    std::printf("contract: fake %d cases, kernel %d cases\n", fake_, kernel_);
    std::printf("errnos: %d cases\n", errnos_);
  }

 private:
  int fake_ = 0;
  int kernel_ = 0;
  int errnos_ = 0;
};

// As on a kernel before 5.6, or under a seccomp profile that is older than the system call.
bool forget_openat2() {
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = std::size(rules), .filter = rules};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new WorldCounter);
  if (!GTEST_FLAG_GET(list_tests)) surveyd::test::prepare_kernel_world();
  for (int i = 1; i < argc; ++i)
    if (std::string_view{argv[i]} == "--without-openat2" && !forget_openat2()) {
      std::perror("seccomp");
      return 2;
    }
  return RUN_ALL_TESTS();
}
