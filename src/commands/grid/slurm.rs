//! Trials as a Slurm job array, and their state in Slurm.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::GridArgs;
use crate::commands::say;
use emovox::bounded;
use emovox::escape::shell_word;
use emovox::experiments::{Sweep, SweepTrial, TrialState};
use emovox::io::write_bytes;
use emovox::plural::{counted, is_or_are};
use emovox::process;

/// Options of `sbatch`.
#[derive(Args)]
#[command(next_help_heading = "Options of --slurm, passed to sbatch")]
pub(super) struct SbatchArgs {
    /// Partition
    #[arg(long, value_name = "NAME", requires = "slurm")]
    partition: Option<String>,
    /// Generic resources, for example gpu:1
    #[arg(long, value_name = "LIST", requires = "slurm")]
    gres: Option<String>,
    /// Time limit of a trial; a trial that needs more is saved, requeued and continued
    #[arg(long, value_name = "TIME", requires = "slurm")]
    time: Option<String>,
    /// Memory of a trial
    #[arg(long, value_name = "SIZE", requires = "slurm")]
    mem: Option<String>,
    /// Other option of sbatch, for example --sbatch=--account=speech (repeatable)
    #[arg(
        long,
        value_name = "OPTION",
        requires = "slurm",
        allow_hyphen_values = true
    )]
    sbatch: Vec<String>,
}

/// Time between the signal to save and the time limit, in seconds.
const SAVE_TIME: u32 = 120;

/// Submits the trials that are not in the queue.
pub(super) fn submit(sweep: &Sweep, left: &[SweepTrial], args: &GridArgs) -> Result<ExitCode> {
    let queued = if args.dry_run {
        BTreeMap::new()
    } else {
        queue(sweep)?
    };
    let names = left.iter().map(SweepTrial::name);
    let names: Vec<String> = names.filter(|name| !queued.contains_key(name)).collect();
    let waiting = left.len() - names.len();
    if waiting > 0 {
        say!(
            "{} {} already in the queue",
            counted(waiting, "trial"),
            is_or_are(waiting)
        );
    }
    if names.is_empty() {
        say!("nothing to submit");
        return Ok(ExitCode::SUCCESS);
    }
    let folder = sweep.folder.join("slurm");
    sweep.create()?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for names in names.chunks(largest_array()) {
        // Each job has its own list: a later change of the sweep file changes no number in the
        // queue.
        let place = fs::canonicalize(&folder)?;
        let list_of = |number: usize| place.join(format!("{number}.cells"));
        let number = (0..)
            .find(|&number| !list_of(number).exists())
            .unwrap_or_default();
        let list = list_of(number);
        write_bytes(&list, (names.join("\n") + "\n").as_bytes())?;
        let script = folder.join(format!("{number}.sh"));
        write_bytes(
            &script,
            script_of(sweep, names.len(), &list, args)?.as_bytes(),
        )?;
        if args.dry_run {
            say!("{} would be submitted", script.display());
            continue;
        }
        let job = slurm("sbatch", &["--parsable", &script.display().to_string()])?;
        let job = job.trim().split(';').next().unwrap_or_default().to_string();
        ensure!(
            job.parse::<u64>().is_ok(),
            "sbatch printed '{job}' instead of a job number"
        );
        write_bytes(
            &folder.join(format!("{job}.job")),
            list.display().to_string().as_bytes(),
        )?;
        say!("submitted {} as job {job}", counted(names.len(), "trial"));
    }
    say!(
        "to see their state: emovox grid {} --status",
        shell_word(&args.file.display().to_string())
    );
    Ok(ExitCode::SUCCESS)
}

/// An option in a line of a job script. sbatch reads lines like a shell: it ends a word at a space, and
/// a line at `#`.
fn sbatch_word(option: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_=./:%,@+~[]".contains(c);
    if option.chars().all(is_plain) {
        return option.to_string();
    }
    format!("\"{}\"", option.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The job script. Slurm sends SIGTERM (preemption, requeue) to all processes of the job, so emovox
/// receives it. The signal before the time limit goes only to the shell, which sends SIGUSR1 to
/// emovox and requeues the job.
fn script_of(sweep: &Sweep, trials: usize, list: &Path, args: &GridArgs) -> Result<String> {
    let SbatchArgs {
        partition,
        gres,
        time,
        mem,
        sbatch,
        ..
    } = &args.sbatch;
    let absolute = |path: &Path| -> Result<PathBuf> {
        std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))
    };
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
    let limit = args.jobs.map(|jobs| format!("%{jobs}")).unwrap_or_default();
    let output = list.with_file_name("%A_%a.log");
    let mut options = vec![
        format!("--job-name=emovox-{}", sweep.name),
        format!("--array=0-{}{limit}", trials - 1),
        format!("--output={}", output.display()),
        "--open-mode=append".into(),
        "--requeue".into(),
        format!("--signal=B:USR1@{SAVE_TIME}"),
    ];
    let optional = [
        ("partition", partition),
        ("gres", gres),
        ("time", time),
        ("mem", mem),
    ];
    for (name, value) in optional {
        options.extend(value.as_ref().map(|value| format!("--{name}={value}")));
    }
    let mut options: Vec<String> = options.iter().map(|option| sbatch_word(option)).collect();
    options.extend(sbatch.iter().cloned());
    let mut script = "#!/bin/bash\n".to_string();
    for option in options {
        // Writing to a String cannot fail.
        let _ = writeln!(script, "#SBATCH {option}");
    }
    let mut command = format!(
        "{} grid {} --runs-dir {}",
        quoted(&std::env::current_exe()?),
        quoted(&absolute(&args.file)?),
        quoted(&absolute(&args.runs.runs_dir)?)
    );
    for flag in args.cache.flags() {
        command += &format!(" {}", quoted(Path::new(&flag)));
    }
    // Not every cluster limits a task to its cores.
    let _ = write!(
        script,
        "\
cd {}
cell=$(sed -n \"$((SLURM_ARRAY_TASK_ID + 1))p\" {})
{command} --threads \"${{SLURM_CPUS_PER_TASK:-1}}\" --cell \"$cell\" &
trained=$!
again=
trap 'kill -USR1 $trained 2>/dev/null' TERM
trap 'again=yes; kill -USR1 $trained 2>/dev/null' USR1
while :; do wait $trained; code=$?; kill -0 $trained 2>/dev/null || break; done
if [ -n \"$again\" ] && [ $code -ne 0 ]; then scontrol requeue \"$SLURM_JOB_ID\"; sleep 60; fi
exit $code
",
        quoted(&std::env::current_dir()?),
        quoted(list)
    );
    Ok(script)
}

/// Prints the state of each trial, from its files and from Slurm.
pub(super) fn status(sweep: &Sweep) -> Result<ExitCode> {
    let queued = queue(sweep)?;
    let history = history(sweep);
    let trials = sweep.trials();
    let (mut done, mut failed) = (0, 0);
    for (number, trial) in trials.iter().enumerate() {
        let (name, state) = (trial.name(), trial.trial.state());
        let details = match (&state, queued.get(&name), history.get(&name)) {
            (TrialState::Done, ..) => "",
            (_, Some(details), _) => details,
            (TrialState::Failed(reason), ..) => reason,
            (_, None, Some(details)) => details,
            _ => "",
        };
        let line = format!("{number:>5}  {:<8}  {name}  {details}", state.as_str());
        say!("{}", line.trim_end());
        done += usize::from(state == TrialState::Done);
        failed += usize::from(matches!(state, TrialState::Failed(_)));
    }
    say!(
        "{done} of {} done, {failed} failed, {} in the queue",
        trials.len(),
        queued.len()
    );
    Ok(ExitCode::SUCCESS)
}

/// Names of the trials of each job, in the order of its array.
type Jobs = BTreeMap<String, Vec<String>>;

/// The jobs that were submitted.
fn submitted(sweep: &Sweep) -> Jobs {
    let files = fs::read_dir(sweep.folder.join("slurm"))
        .into_iter()
        .flatten()
        .flatten();
    let jobs = files.filter_map(|file| {
        let job = file
            .file_name()
            .to_string_lossy()
            .strip_suffix(".job")?
            .to_string();
        let list = bounded::read_text(&file.path(), bounded::RESULTS).ok()?;
        let names = bounded::read_text(Path::new(list.trim()), bounded::RESULTS).ok()?;
        Some((job, names.lines().map(str::to_string).collect()))
    });
    jobs.collect()
}

/// State of the queued and running trials, from `squeue`.
fn queue(sweep: &Sweep) -> Result<BTreeMap<String, String>> {
    let jobs = submitted(sweep);
    let name = format!("--name=emovox-{}", sweep.name);
    let output = match slurm("squeue", &["-h", "-r", "-o", "%F %K %T %R", &name]) {
        Ok(output) => output,
        // Without a scheduler there is no queue.
        Err(_) if jobs.is_empty() => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    Ok(parse_queue(&jobs, &output))
}

/// Trials in the lines of `squeue`: job, array index, state, node or reason.
fn parse_queue(jobs: &Jobs, output: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let mut words = line.splitn(4, ' ');
        let (job, index) = (words.next()?, words.next()?);
        let (state, reason) = (words.next()?, words.next().unwrap_or_default());
        let name = jobs.get(job)?.get(index.parse::<usize>().ok()?)?;
        let state = state.to_lowercase();
        Some((
            name.clone(),
            format!("{state} {reason} (job {job}_{index})"),
        ))
    };
    output.lines().filter_map(line).collect()
}

/// State of the trials that ended, by their last job, from `sacct`. Empty without accounting.
fn history(sweep: &Sweep) -> BTreeMap<String, String> {
    let jobs = submitted(sweep);
    let numbers: Vec<&str> = jobs.keys().map(String::as_str).collect();
    let format = "--format=JobID,State,ExitCode,Elapsed";
    if numbers.is_empty() {
        return BTreeMap::new();
    }
    let arguments = ["-X", "-n", "-P", format, "-j", &numbers.join(",")];
    parse_history(&jobs, &slurm("sacct", &arguments).unwrap_or_default())
}

/// Trials in the lines of `sacct`: job and array index, state, exit code, time.
fn parse_history(jobs: &Jobs, output: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let mut fields = line.split('|');
        let (job, index) = fields.next()?.split_once('_')?;
        let name = jobs.get(job)?.get(index.parse::<usize>().ok()?)?;
        let (state, code, elapsed) = (fields.next()?, fields.next()?, fields.next()?);
        let state = state.to_lowercase();
        let details = format!("{state}, exit {code}, after {elapsed} (job {job}_{index})");
        Some((job.parse::<u64>().ok()?, name.clone(), details))
    };
    let mut ended: Vec<(u64, String, String)> = output.lines().filter_map(line).collect();
    ended.sort_by_key(|(job, ..)| *job);
    ended
        .into_iter()
        .map(|(_, name, details)| (name, details))
        .collect()
}

/// Largest number of tasks in a job array of this cluster.
fn largest_array() -> usize {
    const DEFAULT: usize = 1001;
    let output = slurm("scontrol", &["show", "config"]).unwrap_or_default();
    let line = output
        .lines()
        .find_map(|line| line.trim().strip_prefix("MaxArraySize"));
    let size = line.and_then(|line| line.split('=').nth(1)?.trim().parse().ok());
    // The largest index is one less.
    size.unwrap_or(DEFAULT).saturating_sub(1).max(1)
}

/// Runs one of Slurm's programs and returns its output.
fn slurm(program: &str, arguments: &[&str]) -> Result<String> {
    let output = process::command(program).args(arguments).output();
    let output = output.with_context(|| {
        format!(
            "cannot run {program}; is Slurm installed on this machine? (--run does not need it)"
        )
    })?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("{program} failed: {}", error.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs() -> Jobs {
        let trials = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        BTreeMap::from([
            ("9".into(), trials(&["a/seed-1", "a/seed-2"])),
            ("12".into(), trials(&["a/seed-2"])),
        ])
    }

    /// Output of squeue 22.05 with `-o "%F %K %T %R"`. Job 3 is not a job of this sweep.
    #[test]
    fn the_queue_is_listed_by_trials() {
        let queued = parse_queue(
            &jobs(),
            "9 0 RUNNING node1\n9 1 PENDING (Resources)\n3 0 RUNNING node2\n",
        );
        assert_eq!(queued.len(), 2);
        assert_eq!(queued["a/seed-1"], "running node1 (job 9_0)");
        assert_eq!(queued["a/seed-2"], "pending (Resources) (job 9_1)");
    }

    /// Output of `sacct -X -n -P` as its manual describes it. One trial had two jobs.
    #[test]
    fn the_last_job_of_a_trial_is_used() {
        let output = "12_0|FAILED|1:0|00:00:07\n9_0|COMPLETED|0:0|00:01:00\n9_1|TIMEOUT|0:15|02:00:00\n9_[2-3]|PENDING|0:0|\n";
        let ended = parse_history(&jobs(), output);
        assert_eq!(
            ended["a/seed-1"],
            "completed, exit 0:0, after 00:01:00 (job 9_0)"
        );
        assert_eq!(
            ended["a/seed-2"],
            "failed, exit 1:0, after 00:00:07 (job 12_0)"
        );
    }
}
