//! Compiling in a child process: the compiler is given an upload's bytes and may need any amount
//! of time and memory for them, or crash. The child has limits of its own, an empty environment,
//! and nothing but two pipes; the parent kills it by its process id when its time is over. Both
//! sides are here: [`Child`] for the parent, [`confine`] and [`answer`] for the child.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};

use super::Compiled;

/// In front of compiled code in the child's answer.
const COMPILED: u8 = b'C';
/// In front of words in the child's answer: why it could not be compiled.
const REFUSED: u8 = b'R';
/// Bytes of those words that are read.
const WORDS_MAX: usize = 4096;
/// Between two looks at the child: much shorter than any compilation.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How much longer than its processor time a child may take on a busy machine.
const WALL_FACTOR: u32 = 3;
/// The child steps back behind whatever serves requests.
const NICE: i32 = 10;

/// What a compilation may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Address space.
    pub memory_bytes: u64,
    /// Processor time; counted in whole seconds, begun ones included.
    pub processor: Duration,
    /// Bytes of compiled code.
    pub compiled_bytes: usize,
}

impl Limits {
    /// Whole seconds of processor time, at least one.
    pub fn seconds(&self) -> u64 {
        let begun = u64::from(self.processor.subsec_nanos() > 0);
        self.processor.as_secs().saturating_add(begun).max(1)
    }
}

/// Why there is no compiled code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The compiler's own words about the component.
    Words(String),
    /// The child was ended by its limits, or crashed; what happened and what to do.
    Died(String),
    /// No child could be started, which is not the component's fault.
    NoChild(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => write!(f, "it does not compile: {words}"),
            Self::Died(words) => f.write_str(words),
            Self::NoChild(words) => write!(f, "the compiler could not be started: {words}"),
        }
    }
}

impl std::error::Error for Refused {}

/// How a child that compiles is started.
#[derive(Debug, Clone)]
pub struct Child {
    /// This program; `/proc/self/exe` where there is one, which stays this very program also when
    /// its file was replaced.
    pub program: PathBuf,
    /// What makes it call [`confine`] and compile.
    pub arguments: Vec<OsString>,
    /// What it may use; the program is to be told by its arguments.
    pub limits: Limits,
}

impl Child {
    /// Compiles a component. Blocks until the child has answered or is dead.
    pub fn compile(&self, component: &[u8]) -> Result<Compiled, Refused> {
        let mut child = Command::new(&self.program)
            .arg0("turnpike")
            .args(&self.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|cause| Refused::NoChild(cause.to_string()))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let most = u64::try_from(self.limits.compiled_bytes).unwrap_or(u64::MAX);
        let (status, said) = thread::scope(|scope| {
            scope.spawn(move || {
                // A child that ends early reads no further; its status says why.
                stdin.map(|mut stdin| stdin.write_all(component).is_ok())
            });
            let reading = scope.spawn(move || {
                let mut said = Vec::new();
                // One byte for the kind, and one more than may be said, to see that it was more.
                let read =
                    stdout.map(|out| out.take(most.saturating_add(2)).read_to_end(&mut said));
                read.is_some_and(|read| read.is_ok()).then_some(said)
            });
            let status = self.wait(&mut child);
            (status, reading.join().ok().flatten())
        });
        let status = status.map_err(|cause| Refused::NoChild(cause.to_string()))?;
        match (status, said) {
            (Some(status), Some(said)) if status.success() => self.read(said),
            (status, _) => Err(Refused::Died(self.died(status))),
        }
    }

    /// Waits for the child's end; `None` if it had to be killed.
    fn wait(&self, child: &mut std::process::Child) -> io::Result<Option<ExitStatus>> {
        let most = Duration::from_secs(self.limits.seconds()).saturating_mul(WALL_FACTOR);
        // Each look is at least that far from the one before, so time is never counted short.
        let mut waited = Duration::ZERO;
        while waited < most {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(Some(status)),
                Ok(None) => thread::sleep(LOOK_EVERY),
                Err(_) => break,
            }
            waited = waited.saturating_add(LOOK_EVERY);
        }
        child.kill()?;
        child.wait()?;
        Ok(None)
    }

    fn read(&self, mut said: Vec<u8>) -> Result<Compiled, Refused> {
        let most = self.limits.compiled_bytes;
        match said.first() {
            Some(&COMPILED) if said.len() > most.saturating_add(1) => Err(Refused::Died(format!(
                "it compiles to more than {most} bytes; make it smaller"
            ))),
            Some(&COMPILED) => {
                said.remove(0);
                Ok(Compiled(said))
            }
            Some(&REFUSED) => {
                let words = said.get(1..).unwrap_or_default();
                let words = words.get(..WORDS_MAX).unwrap_or(words);
                Err(Refused::Words(String::from_utf8_lossy(words).into_owned()))
            }
            _ => Err(Refused::Died("the compiler ended without an answer".to_owned())),
        }
    }

    /// What became of a child without an answer.
    fn died(&self, status: Option<ExitStatus>) -> String {
        let seconds = self.limits.seconds();
        let mebibytes = self.limits.memory_bytes >> 20;
        let smaller = "split it up, or build it for size (`opt-level = \"s\"`, `wasm-opt -Os`)";
        let signal = status.map(|status| status.signal());
        match signal {
            None => format!(
                "compiling it took longer than {} s and was ended: {smaller}",
                seconds.saturating_mul(WALL_FACTOR.into())
            ),
            Some(Some(signal)) if signal == Signal::XCPU.as_raw() => {
                format!("compiling it took more than {seconds} s of processor time: {smaller}")
            }
            Some(Some(signal)) => format!(
                "the compiler died of it (signal {signal}), most likely for want of memory: it may \
                 use {mebibytes} MiB; {smaller}"
            ),
            Some(None) => format!(
                "the compiler gave up on it: it may use {seconds} s of processor time and \
                 {mebibytes} MiB of memory; {smaller}"
            ),
        }
    }
}

/// In the child, before anything is read: from here on this process dies rather than use more. It
/// also dies with the thread that started it.
pub fn confine(limits: &Limits) -> io::Result<()> {
    let set = |resource, most: u64| {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
    };
    set(Resource::Core, 0)?;
    set(Resource::Fsize, 0)?;
    // At the first limit comes a signal that says why, at the second one that nobody survives.
    let (current, maximum) = (limits.seconds(), limits.seconds().saturating_add(1));
    let processor = Rlimit { current: Some(current), maximum: Some(maximum) };
    setrlimit(Resource::Cpu, processor)?;
    set(Resource::As, limits.memory_bytes)?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // A system that does not let us step back compiles all the same.
    nice(NICE).ok();
    Ok(())
}

/// In the child: reads the component, compiles it, and answers. An error means that nobody
/// listens any more.
pub fn answer(compile: impl FnOnce(&[u8]) -> Result<Vec<u8>, String>) -> io::Result<()> {
    let mut component = Vec::new();
    io::stdin().lock().read_to_end(&mut component)?;
    let mut out = io::stdout().lock();
    match compile(&component) {
        Ok(code) => {
            out.write_all(&[COMPILED])?;
            out.write_all(&code)?;
        }
        Err(words) => {
            out.write_all(&[REFUSED])?;
            out.write_all(words.as_bytes())?;
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, seconds: u64) -> Result<Compiled, Refused> {
        let limits = Limits {
            memory_bytes: 64 << 20,
            processor: Duration::from_secs(seconds),
            compiled_bytes: 8,
        };
        let arguments = vec!["-c".into(), script.into()];
        Child { program: "/bin/sh".into(), arguments, limits }.compile(&vec![0; 1 << 20])
    }

    #[test]
    fn an_answer_is_code_or_words() {
        assert_eq!(shell("cat >/dev/null; printf C12345678", 9).unwrap().size(), 8);
        let words = shell("printf 'Rbad magic'", 9).unwrap_err();
        assert_eq!(words, Refused::Words("bad magic".to_owned()));
        assert!(matches!(shell("true", 9), Err(Refused::Died(_))));
        assert!(shell("printf C123456789", 9).unwrap_err().to_string().contains("more than 8"));
    }

    #[test]
    fn a_child_that_dies_or_never_ends_is_told_in_words() {
        let died = shell("kill -SEGV $$", 9).unwrap_err().to_string();
        assert!(died.contains("signal 11"), "{died}");
        let late = shell("exec sleep 60", 1).unwrap_err().to_string();
        assert!(late.contains("longer than 3 s"), "{late}");
        let failed = shell("exit 3", 9).unwrap_err().to_string();
        assert!(failed.contains("gave up"), "{failed}");
    }

    #[test]
    fn a_child_sees_no_environment() {
        assert!(shell("test -z \"$HOME$TURNPIKE_ADMIN_TOKEN\" && printf C1", 9).is_ok());
    }

    #[test]
    fn begun_seconds_count() {
        let of = |ms| {
            let processor = Duration::from_millis(ms);
            Limits { memory_bytes: 0, processor, compiled_bytes: 0 }.seconds()
        };
        assert_eq!([of(0), of(1), of(1000), of(1001)], [1, 1, 1, 2]);
    }
}
