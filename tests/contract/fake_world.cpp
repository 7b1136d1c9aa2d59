#include "support/fake_cgroup_host.hpp"

namespace surveyd::test {
namespace {

class FakeWorld final : public World {
 public:
  FakeWorld() {
    host_.add_file(playground_ + "/file", "text\n");
    host_.add_file(playground_ + "/inside/file", "text\n");
    host_.add_link(playground_ + "/link", "file");
    host_.add_link(playground_ + "/out", "/");
    host_.add_link(playground_ + "/up", "..");
    host_.add_tmpfs(playground_ + "/mounted");
  }

  Host& host() override { return host_; }
  const std::string& name() const override { return name_; }
  int start_process(const std::string& cgroup) override { return host_.start_process(cgroup); }
  void end_process(int pid) override { host_.end_process(pid); }
  void wait_until_empty(const std::string&) override {}

  std::string run_in(const std::string& cgroup, View view,
                     const std::function<std::string(Host&)>& operation) override {
    host_.live_in(cgroup);
    host_.mount_read_only(view == View::read_only);
    const bool private_root =
        view == View::private_namespace || view == View::host_tree_in_private_namespace;
    if (private_root) host_.set_namespace_root(cgroup);
    if (view == View::private_namespace) host_.set_mounted(cgroup);
    std::string told = operation(host_);
    // The process ends, and with it what only it saw.
    host_.mount_read_only(false);
    host_.set_namespace_root("/");
    host_.set_mounted("/");
    host_.live_in("/");
    return told;
  }

  const std::string& playground() override { return playground_; }

 private:
  FakeCgroupHost host_;
  std::string name_ = "contract";
  std::string playground_ = "/tmp/playground";
};

}  // namespace

std::unique_ptr<World> make_fake_world() {
  return std::make_unique<FakeWorld>();
}

}  // namespace surveyd::test
