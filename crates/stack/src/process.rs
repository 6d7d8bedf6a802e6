//! Programs that end with the one that started them.
//!
//! Each runs in a process group of its own, so that a Ctrl-C on the terminal reaches only the launcher, which then ends everything in
//! order; and is told by the kernel when the launcher is gone, so that not even a SIGKILL of it leaves anything behind. (The kernel
//! watches the starting *thread*: start programs from the main one.)

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a program may take to end once told to.
const STOP_MAX: Duration = Duration::from_secs(30);

/// Whether the user wants everything to end.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Set by Ctrl-C and SIGTERM from now on; the second of them ends the process at once.
    pub fn on_signal() -> io::Result<Self> {
        let told = Self::default();
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&told.0))?;
            signal_hook::flag::register(signal, Arc::clone(&told.0))?;
        }
        Ok(told)
    }

    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Runs a program to its end, on this terminal; passes the wish to end on to it.
    pub fn run(&self, command: &mut Command) -> anyhow::Result<()> {
        self.run_beside(command, || Ok(()))
    }

    /// The same, and does something again and again meanwhile. What fails there ends the program.
    pub fn run_beside(
        &self,
        command: &mut Command,
        meanwhile: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let name = name_of(command);
        ensure!(!self.is_set(), "interrupted");
        let mut child = command.spawn().with_context(|| format!("cannot run {name}"))?;
        let status = self.wait(&mut child, meanwhile)?;
        ensure!(!self.is_set(), "interrupted");
        ensure!(status.success(), "{name} failed: {status}");
        Ok(())
    }

    fn wait(
        &self,
        child: &mut Child,
        mut meanwhile: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitStatus> {
        let (mut told, mut done) = (false, Ok(()));
        loop {
            if let Some(status) = child.try_wait()? {
                return done.map(|()| status);
            }
            if done.is_ok() {
                done = meanwhile();
            }
            if (self.is_set() || done.is_err()) && !told {
                signal(child, Signal::TERM)?;
                told = true;
            }
            sleep(LOOK_EVERY);
        }
    }
}

/// A program in the background. Dropping it ends it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    stop: Signal,
    log: PathBuf,
}

impl Program {
    /// Starts a program whose output goes to the end of a file, and that is ended by the signal `stop`.
    pub fn start(
        name: &str,
        command: &mut Command,
        stop: Stop,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let out = File::options().create(true).append(true).open(log);
        let out = out.with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", name_of(command)))?;
        Ok(Self { name: name.to_owned(), child, stop: stop.signal(), log: log.to_owned() })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails, with what it said last, if it has ended by itself.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                bail!("{} has ended: {status}; it said last:\n{}", self.name, self.last_lines())
            }
        }
    }

    /// Waits until it is there; fails if it ends before, or takes longer than `limit`.
    pub fn wait_until(
        &mut self,
        limit: Duration,
        interrupt: &Interrupt,
        is_there: impl Fn() -> bool,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            // First: whoever answers in the place of one that has ended is not it.
            self.check()?;
            if is_there() {
                return Ok(());
            }
            ensure!(!interrupt.is_set(), "interrupted");
            ensure!(
                began.elapsed() < limit,
                "{} is not there after {limit:?}; it said last:\n{}",
                self.name,
                self.last_lines()
            );
            sleep(LOOK_EVERY);
        }
    }

    /// SIGKILL, as a power cut would.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// Tells it to end, and does not wait.
    pub fn tell(&self) {
        // One that has ended already cannot be told.
        let _ = signal(&self.child, self.stop);
    }

    /// Tells it to end and waits for it; one that does not end in time is killed.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        self.tell();
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            if began.elapsed() > STOP_MAX {
                self.kill()?;
                bail!("{} did not end within {STOP_MAX:?} and was killed", self.name);
            }
            sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn last_lines(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.len().saturating_sub(15);
        lines.get(last..).unwrap_or_default().join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.stop().is_err() {
            let _ = self.kill();
        }
    }
}

/// What a program is told when it is to end.
#[derive(Debug, Clone, Copy)]
pub enum Stop {
    Term,
    /// Postgres takes SIGTERM for: once all clients have gone.
    Int,
}

impl Stop {
    fn signal(self) -> Signal {
        match self {
            Self::Term => Signal::TERM,
            Self::Int => Signal::INT,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Int => "INT",
        }
    }
}

/// A program that the kernel tells to end when the thread that starts it ends.
#[must_use]
pub fn tied(program: impl AsRef<OsStr>, stop: Stop) -> Command {
    if !cfg!(target_os = "linux") || which("setpriv").is_none() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", stop.name(), "--"]).arg(program);
    command
}

/// A program of the path.
#[must_use]
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn signal(child: &Child, signal: Signal) -> anyhow::Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
    Ok(kill_process(pid, signal)?)
}

fn name_of(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path) -> Program {
        let mut command = tied("sleep", Stop::Term);
        Program::start("sleep", command.arg("60"), Stop::Term, &folder.join("log")).unwrap()
    }

    fn is_alive(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}/exe")).exists()
    }

    #[test]
    fn what_is_dropped_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let program = sleeper(folder.path());
        let pid = program.pid();
        assert!(is_alive(pid));
        drop(program);
        assert!(!is_alive(pid));
    }

    #[test]
    fn one_that_ends_by_itself_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo out of luck; exit 3"]);
        let log = folder.path().join("log");
        let mut program = Program::start("unlucky", &mut command, Stop::Term, &log).unwrap();
        let waited = program.wait_until(Duration::from_secs(10), &Interrupt::default(), || false);
        let why = waited.unwrap_err().to_string();
        assert!(why.contains("unlucky has ended") && why.contains("out of luck"), "{why}");
    }

    #[test]
    fn another_that_answers_in_the_place_of_one_that_has_ended_is_not_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("true");
        let log = folder.path().join("log");
        let mut program = Program::start("gone", &mut command, Stop::Term, &log).unwrap();
        program.child.wait().unwrap();
        let waited = program.wait_until(Duration::from_secs(10), &Interrupt::default(), || true);
        assert!(waited.unwrap_err().to_string().contains("gone has ended"));
    }

    #[test]
    fn the_kernel_ends_what_a_starter_leaves() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        // The thread is the starter that goes away without a word, once the program has asked to be told of it.
        let starter = std::thread::spawn(move || {
            let program = sleeper(&path);
            while fs::read(format!("/proc/{}/comm", program.pid())).unwrap() != b"sleep\n" {
                sleep(LOOK_EVERY);
            }
            program
        });
        let program = starter.join().unwrap();
        let pid = program.pid();
        let began = Instant::now();
        while is_alive(pid) && began.elapsed() < Duration::from_secs(10) {
            sleep(LOOK_EVERY);
        }
        assert!(!is_alive(pid));
    }

    #[test]
    fn an_interrupt_reaches_what_is_running() {
        let interrupt = Interrupt::default();
        let told = interrupt.clone();
        std::thread::spawn(move || {
            sleep(Duration::from_millis(100));
            told.0.store(true, Ordering::Relaxed);
        });
        let began = Instant::now();
        let ended = interrupt.run(Command::new("sleep").arg("60"));
        assert_eq!(ended.unwrap_err().to_string(), "interrupted");
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn what_fails_beside_a_program_ends_it() {
        let (mut looks, began) = (0, Instant::now());
        let ended = Interrupt::default().run_beside(Command::new("sleep").arg("60"), || {
            looks += 1;
            ensure!(looks < 3, "enough");
            Ok(())
        });
        assert_eq!((ended.unwrap_err().to_string().as_str(), looks), ("enough", 3));
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
