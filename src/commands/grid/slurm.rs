//! Cells as a Slurm job array, and what Slurm says of them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::{GridArgs, word};
use crate::commands::say;
use emovox::grid::{Grid, GridCell, State};
use emovox::process;
use emovox::run::write_bytes;

/// What `sbatch` is told.
#[derive(Args)]
#[command(next_help_heading = "With --slurm, handed to sbatch")]
pub(super) struct SbatchArgs {
    /// Partition
    #[arg(long, value_name = "NAME", requires = "slurm")]
    partition: Option<String>,
    /// Such as gpu:1
    #[arg(long, value_name = "LIST", requires = "slurm")]
    gres: Option<String>,
    /// Time limit of a cell; one that needs more is saved before it ends, and goes on
    #[arg(long, value_name = "TIME", requires = "slurm")]
    time: Option<String>,
    /// Memory of a cell
    #[arg(long, value_name = "SIZE", requires = "slurm")]
    mem: Option<String>,
    /// Any other option, such as --sbatch=--account=speech (again for each)
    #[arg(
        long,
        value_name = "OPTION",
        requires = "slurm",
        allow_hyphen_values = true
    )]
    sbatch: Vec<String>,
    /// Write the script and do not submit it
    #[arg(long, requires = "slurm")]
    dry_run: bool,
}

/// Seconds before the time limit at which a cell is told to save.
const WARNING: u32 = 120;

/// Submits the cells that no job has yet.
pub(super) fn submit(grid: &Grid, left: &[GridCell], args: &GridArgs) -> Result<ExitCode> {
    let queued = match args.sbatch.dry_run {
        true => BTreeMap::new(),
        false => queue(grid)?,
    };
    let names = left.iter().map(GridCell::name);
    let names: Vec<String> = names.filter(|name| !queued.contains_key(name)).collect();
    if left.len() > names.len() {
        say!(
            "{} cells are in the queue already",
            left.len() - names.len()
        );
    }
    if names.is_empty() {
        say!("nothing to submit");
        return Ok(ExitCode::SUCCESS);
    }
    let folder = grid.folder.join("slurm");
    grid.make_folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for names in names.chunks(largest_array()) {
        // The list is the job's own: what changes in the file later changes no number in the queue.
        let number = fs::read_dir(&folder)?.count();
        let list = fs::canonicalize(&folder)?.join(format!("{number}.cells"));
        write_bytes(&list, (names.join("\n") + "\n").as_bytes())?;
        let script = folder.join(format!("{number}.sh"));
        write_bytes(
            &script,
            script_of(grid, names.len(), &list, args)?.as_bytes(),
        )?;
        if args.sbatch.dry_run {
            say!("{} would be submitted", script.display());
            continue;
        }
        let job = ask("sbatch", &["--parsable", &script.display().to_string()])?;
        let job = job.trim().split(';').next().unwrap_or_default().to_string();
        ensure!(
            job.parse::<u64>().is_ok(),
            "sbatch gave no job number but '{job}'"
        );
        write_bytes(
            &folder.join(format!("{job}.job")),
            list.display().to_string().as_bytes(),
        )?;
        say!("submitted {} cells as job {job}", names.len());
    }
    say!(
        "how far they are: emovox grid {} --status",
        args.file.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// The job script. Slurm's SIGTERM (preemption, requeue) reaches emovox itself, as all processes of the
/// job; the warning before the time limit reaches the shell alone, which passes it on as SIGUSR1, and puts
/// the job back into the queue.
fn script_of(grid: &Grid, cells: usize, list: &Path, args: &GridArgs) -> Result<String> {
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
    let at_most = args.jobs.map(|jobs| format!("%{jobs}")).unwrap_or_default();
    let output = list.with_file_name("%A_%a.log");
    let mut options = vec![
        format!("--job-name=emovox-{}", grid.name),
        format!("--array=0-{}{at_most}", cells - 1),
        format!("--output={}", output.display()),
        "--open-mode=append".into(),
        "--requeue".into(),
        format!("--signal=B:USR1@{WARNING}"),
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
    // The number of threads is part of what a cell is, so it must not depend on the node's cores.
    let _ = write!(
        script,
        "\
cd {}
export OMP_NUM_THREADS=${{OMP_NUM_THREADS:-1}} RAYON_NUM_THREADS=${{RAYON_NUM_THREADS:-1}}
cell=$(sed -n \"$((SLURM_ARRAY_TASK_ID + 1))p\" {})
{command} --cell \"$cell\" &
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

/// Tells of each cell what its files say, and what Slurm does where that is more.
pub(super) fn status(grid: &Grid) -> Result<ExitCode> {
    let queued = queue(grid)?;
    let history = history(grid);
    for (number, cell) in grid.cells().into_iter().enumerate() {
        let (name, state) = (cell.name(), cell.state());
        let more = match (&state, queued.get(&name), history.get(&name)) {
            (State::Done, ..) => String::new(),
            (_, Some(words), _) => words.clone(),
            (State::Failed(reason), ..) => reason.clone(),
            (_, None, Some(words)) => words.clone(),
            _ => String::new(),
        };
        let line = format!("{number:>5}  {:<8}  {name}  {more}", word(&state));
        say!("{}", line.trim_end());
    }
    let cells = grid.cells();
    let count = |wanted: &str| {
        cells
            .iter()
            .filter(|cell| word(&cell.state()) == wanted)
            .count()
    };
    say!(
        "{} of {} done, {} failed, {} in the queue",
        count("done"),
        cells.len(),
        count("failed"),
        queued.len()
    );
    Ok(ExitCode::SUCCESS)
}

/// The cells of each job, in the order of its places.
type Jobs = BTreeMap<String, Vec<String>>;

/// The cells of each job that was submitted.
fn submitted(grid: &Grid) -> Jobs {
    let files = fs::read_dir(grid.folder.join("slurm"))
        .into_iter()
        .flatten()
        .flatten();
    let jobs = files.filter_map(|file| {
        let job = file
            .file_name()
            .to_string_lossy()
            .strip_suffix(".job")?
            .to_string();
        let list = fs::read_to_string(file.path()).ok()?;
        let cells = fs::read_to_string(list.trim()).ok()?;
        Some((job, cells.lines().map(str::to_string).collect()))
    });
    jobs.collect()
}

/// What `squeue` says of cells that wait or run.
fn queue(grid: &Grid) -> Result<BTreeMap<String, String>> {
    let jobs = submitted(grid);
    let name = format!("--name=emovox-{}", grid.name);
    let told = match ask("squeue", &["-h", "-r", "-o", "%F %K %T %R", &name]) {
        Ok(told) => told,
        // Without a scheduler there is no queue.
        Err(_) if jobs.is_empty() => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    Ok(in_queue(&jobs, &told))
}

/// Cells by the lines of `squeue`: job, place, state, node or reason.
fn in_queue(jobs: &Jobs, told: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let mut words = line.splitn(4, ' ');
        let (job, place) = (words.next()?, words.next()?);
        let (state, reason) = (words.next()?, words.next().unwrap_or_default());
        let name = jobs.get(job)?.get(place.parse::<usize>().ok()?)?;
        let state = state.to_lowercase();
        Some((
            name.clone(),
            format!("{state} {reason} (job {job}_{place})"),
        ))
    };
    told.lines().filter_map(line).collect()
}

/// What `sacct` says of cells that ended, by the last of their jobs; nothing where nobody keeps accounts.
fn history(grid: &Grid) -> BTreeMap<String, String> {
    let jobs = submitted(grid);
    let numbers: Vec<&str> = jobs.keys().map(String::as_str).collect();
    let format = "--format=JobID,State,ExitCode,Elapsed";
    let told = match numbers.is_empty() {
        true => return BTreeMap::new(),
        false => ask(
            "sacct",
            &["-X", "-n", "-P", format, "-j", &numbers.join(",")],
        ),
    };
    in_history(&jobs, &told.unwrap_or_default())
}

/// Cells by the lines of `sacct`: job and place, state, exit code, time.
fn in_history(jobs: &Jobs, told: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let mut fields = line.split('|');
        let (job, place) = fields.next()?.split_once('_')?;
        let name = jobs.get(job)?.get(place.parse::<usize>().ok()?)?;
        let (state, code, elapsed) = (fields.next()?, fields.next()?, fields.next()?);
        let state = state.to_lowercase();
        let words = format!("{state}, exit {code}, after {elapsed} (job {job}_{place})");
        Some((job.parse::<u64>().ok()?, name.clone(), words))
    };
    let mut told: Vec<(u64, String, String)> = told.lines().filter_map(line).collect();
    told.sort_by_key(|(job, ..)| *job);
    told.into_iter()
        .map(|(_, name, words)| (name, words))
        .collect()
}

/// The most tasks that this cluster lets an array have.
fn largest_array() -> usize {
    const USUAL: usize = 1001;
    let told = ask("scontrol", &["show", "config"]).unwrap_or_default();
    let line = told
        .lines()
        .find_map(|line| line.trim().strip_prefix("MaxArraySize"));
    let size = line.and_then(|line| line.split('=').nth(1)?.trim().parse().ok());
    // Numbers go to one less.
    size.unwrap_or(USUAL).saturating_sub(1).max(1)
}

/// Runs one of Slurm's programs and gives what it says.
fn ask(program: &str, arguments: &[&str]) -> Result<String> {
    let output = process::command(program).args(arguments).output();
    let output = output.with_context(|| {
        format!("{program} cannot be run; is Slurm installed on this machine? (--run needs none)")
    })?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        bail!("{program} failed: {}", told.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs() -> Jobs {
        let cells = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        BTreeMap::from([
            ("9".into(), cells(&["a/seed-1", "a/seed-2"])),
            ("12".into(), cells(&["a/seed-2"])),
        ])
    }

    /// As squeue 22.05 prints it with `-o "%F %K %T %R"`; job 3 is somebody else's.
    #[test]
    fn the_queue_is_told_by_cells() {
        let told = in_queue(
            &jobs(),
            "9 0 RUNNING node1\n9 1 PENDING (Resources)\n3 0 RUNNING node2\n",
        );
        assert_eq!(told.len(), 2);
        assert_eq!(told["a/seed-1"], "running node1 (job 9_0)");
        assert_eq!(told["a/seed-2"], "pending (Resources) (job 9_1)");
    }

    /// The lines of `sacct -X -n -P` as its manual has them; of a cell that had two jobs, the later one.
    #[test]
    fn the_last_job_of_a_cell_counts() {
        let told = "12_0|FAILED|1:0|00:00:07\n9_0|COMPLETED|0:0|00:01:00\n9_1|TIMEOUT|0:15|02:00:00\n9_[2-3]|PENDING|0:0|\n";
        let told = in_history(&jobs(), told);
        assert_eq!(
            told["a/seed-1"],
            "completed, exit 0:0, after 00:01:00 (job 9_0)"
        );
        assert_eq!(
            told["a/seed-2"],
            "failed, exit 1:0, after 00:00:07 (job 12_0)"
        );
    }
}
