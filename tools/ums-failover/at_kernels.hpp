// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "cli/cli.hpp"
#include "clock/clock.hpp"
#include "config/config.hpp"
#include "delivery/courier.hpp"
#include "io/disk.hpp"
#include "report/report.hpp"
#include "seats.hpp"
#include "spool/spool.hpp"

namespace ums::failover {

/// What a pass does at the kernels themselves, beyond looking whether they are well. It must not keep the other kernels
/// waiting: no answer is waited for longer than 5 s, and a recall that takes longer goes on in the next pass. A queue that
/// ums-push works now is left to it.
class AtKernels {
  public:
    /// All must outlive it.
    AtKernels(const cli::Common& common, const config::Config& config, spool::Spool& spool, const clock::Clock& clock,
              report::Reporter& reporter, cli::ExitCode& code, Seats& seats);

    /// What the kernel took and has not fetched is taken back, if the configuration says so, and another kernel can have
    /// it: it is in new/ of the kernel's queue then. For one that can be worked with: it is stuck, or was switched off for
    /// a service.
    void take_back(Seat& seat);
    /// A kernel that was stuck, and was relieved of what it had not fetched, is trusted once it has fetched what it was
    /// given since.
    void look_for_proof(Seat& seat);
    /// Doubts: resolved where the kernel answers; where it does not, and `in-doubt.wait` is over, the policy of the
    /// message's service acts, if another kernel takes messages now. How many are in new/ of its queue again.
    std::size_t settle(const Seat& seat);

  private:
    template <typename Work>
    void work(const Seat& seat, Work work);
    template <typename Work>
    void with_courier(const Seat& seat, const spool::Worker& worker, Work work);
    void take_back(Seat& seat, delivery::Courier& courier);
    void look_for_proof(Seat& seat, delivery::Courier& courier);
    std::size_t settle_by_looking(delivery::Courier& courier, const Seat& seat);
    void settle_by_policy(const Seat& seat);

    const cli::Common& common_;
    const config::Config& config_;
    spool::Spool& spool_;
    const clock::Clock& clock_;
    report::Reporter& reporter_;
    cli::ExitCode& code_;
    Seats& seats_;
    io::PosixDisk outside_{io::Sharing::by_umask};
};

}  // namespace ums::failover
