//! The kernel's filter of system calls, from the table.
//!
//! A call that is not allowed is answered with ENOSYS, and the kernel logs it (an audit record of type SECCOMP with the number
//! of the call). Not with EPERM: libraries take an older call where the kernel lacks a newer one, and give up where they
//! are told that they may not; so a later library goes on. And the process is not killed: pods depend on the daemon, and what
//! was refused has not happened. Only a call by the numbers of another processor kills it, which no library ever makes.

use super::calls::{Call, Only};
use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

const REFUSE: SeccompAction = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());

/// The program that lets `calls` through.
///
/// # Errors
/// A program could not be made of them: too many for the kernel.
pub(super) fn program(calls: &[Call]) -> Result<BpfProgram, BackendError> {
    let rules = calls.iter().map(|call| Ok((call.number, rules(call.only)?)));
    let rules = rules.collect::<Result<_, BackendError>>()?;
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, REFUSE, SeccompAction::Allow, arch)?.try_into()
}

/// One rule for each way to make the call; none where all are allowed.
fn rules(only: Only) -> Result<Vec<SeccompRule>, BackendError> {
    let when = |argument, how, value| {
        SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, how, value)?])
    };
    match only {
        Only::Any => Ok(Vec::new()),
        Only::Among(argument, values) => values.iter().map(|value| when(argument, SeccompCmpOp::Eq, *value)).collect(),
        Only::With(argument, bits) => Ok(vec![when(argument, SeccompCmpOp::MaskedEq(bits), bits)?]),
    }
}
