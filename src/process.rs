//! The process: its signals, its child processes, and its immediate end.
//!
//! A thread that computes must not receive a signal. oneDNN's generated code uses the stack pointer
//! as an ordinary register, and a signal handler on such a thread writes its frame to the address
//! in that register: into the heap. So a program that computes blocks all signals before its first
//! thread starts, and waits for them in one thread ([`take_signals`]). It needs no handler.
//!
//! A blocked signal stays blocked in child processes, except in those that [`command`] makes.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::{io, mem, ptr, thread};

/// The response of the program to a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    /// The program has handled the signal.
    Taken,
    /// The default action of the signal, or none if the process ignores it.
    Default,
    /// The process ends immediately with this exit code.
    Exit(u8),
}

/// Blocks all signals, and starts a thread that waits for them and calls `respond` with the number
/// of each signal.
///
/// A program calls this before its first thread starts, because threads inherit the blocked
/// signals. Two kinds stay unblocked. Faults (SIGSEGV and similar signals) belong to the thread
/// that causes them. The signals of job control (Ctrl-Z) have no handler: the kernel stops and
/// continues the process without a write to a stack.
///
/// SIGXFSZ is blocked and not waited for, so a write beyond the file size limit is an ordinary
/// error.
///
/// # Errors
/// Fails if the thread cannot be started.
pub fn take_signals(respond: fn(i32) -> Response) -> io::Result<()> {
    const FAULTS: [i32; 7] = [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGABRT,
        libc::SIGTRAP,
        libc::SIGSYS,
    ];
    const JOB_CONTROL: [i32; 4] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU, libc::SIGCONT];
    // SAFETY: a sigset_t is plain memory, which sigfillset initialises; the other functions read
    // and write only the sigset_t.
    let waited = unsafe {
        let mut signals = mem::zeroed();
        libc::sigfillset(&mut signals);
        for signal in FAULTS.into_iter().chain(JOB_CONTROL) {
            libc::sigdelset(&mut signals, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &signals, ptr::null_mut());
        libc::sigdelset(&mut signals, libc::SIGXFSZ);
        signals
    };
    let wait_for_signals = move || {
        loop {
            let mut signal = 0;
            // SAFETY: sigwait reads the set and writes the number.
            if unsafe { libc::sigwait(&waited, &mut signal) } != 0 {
                continue;
            }
            match respond(signal) {
                Response::Taken => {}
                Response::Default => act_by_default(signal),
                Response::Exit(code) => exit_at_once(code),
            }
        }
    };
    thread::Builder::new()
        .name("signals".into())
        .spawn(wait_for_signals)?;
    Ok(())
}

/// Delivers a signal to this thread: the process ends or ignores the signal, as if it were not
/// blocked.
fn act_by_default(signal: i32) {
    // SAFETY: as above. No handler of this program runs.
    unsafe {
        let mut signals = mem::zeroed();
        libc::sigemptyset(&mut signals);
        libc::sigaddset(&mut signals, signal);
        libc::raise(signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &signals, ptr::null_mut());
        libc::pthread_sigmask(libc::SIG_BLOCK, &signals, ptr::null_mut());
    }
}

/// Returns true if the process was started with this signal ignored, as `nohup` does with SIGHUP.
pub fn is_ignored(signal: i32) -> bool {
    // SAFETY: sigaction only writes the present action to the given variable.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        libc::sigaction(signal, ptr::null(), &mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}

/// A command for a child process without blocked signals.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    // SAFETY: between fork and exec the closure calls only functions that are safe there.
    unsafe {
        command.pre_exec(|| {
            let mut none = mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::pthread_sigmask(libc::SIG_SETMASK, &none, ptr::null_mut());
            Ok(())
        });
    }
    command
}

/// Makes the child process of `command` receive SIGUSR1 when this process ends, also by `kill -9`.
///
/// The child can receive several signals, because the threads of this process end one by one. Only
/// on Linux. There the signal comes when the thread that started the child ends, so that thread has
/// to wait for the child.
pub fn stop_with_parent(command: &mut Command) {
    #[cfg(not(target_os = "linux"))]
    let _ = command;
    #[cfg(target_os = "linux")]
    // SAFETY: as in `command`.
    unsafe {
        let parent = std::process::id();
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGUSR1) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have ended before the call of prctl.
            if libc::getppid() as u32 != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}

/// Sends SIGUSR1 to a child process that was not waited for yet. SIGTERM is not used, because it
/// could be the second one of the child, which means "immediately": systemd sends SIGTERM to every
/// process of a service.
///
/// # Errors
/// Fails if the operating system rejects the signal.
pub fn ask_to_stop(child: &Child) -> io::Result<()> {
    // SAFETY: kill reads and writes no memory, and the number belongs to the child until it is
    // waited for.
    match unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGUSR1) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends the process without exit handlers and destructors, which could wait for another thread.
pub fn exit_at_once(code: u8) -> ! {
    // SAFETY: _exit does not return; the operating system frees all resources.
    unsafe { libc::_exit(code.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Handlers of Rust (for the stack overflow of a thread) and of libtorch.
    #[test]
    fn remaining_handlers_use_an_alternate_stack() {
        let _ = tch::Tensor::ones([64, 64], (tch::Kind::Float, tch::Device::Cpu)).sum(None);
        for signal in 1..=libc::SIGRTMAX() {
            // SAFETY: as in `is_ignored`.
            let action = unsafe {
                let mut action: libc::sigaction = mem::zeroed();
                libc::sigaction(signal, ptr::null(), &mut action);
                action
            };
            if ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction) {
                assert!(action.sa_flags & libc::SA_ONSTACK != 0, "signal {signal}");
            }
        }
        // SAFETY: sigaltstack only writes the present stack.
        let stack = unsafe {
            let mut stack: libc::stack_t = mem::zeroed();
            libc::sigaltstack(ptr::null(), &mut stack);
            stack
        };
        assert_eq!(
            stack.ss_flags & libc::SS_DISABLE,
            0,
            "a thread has an alternate stack"
        );
    }
}
