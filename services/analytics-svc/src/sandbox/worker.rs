//! The process of one query. Whatever the query does to it, it ends with it.
//!
//! Before the query is looked at, the process has given up writing files and dumping core; before it runs, DuckDB has given up every file
//! but those of the tables it names, every extension and every setting, and the process more memory than a query may have. DuckDB's
//! own limit is no fence: strings and lists of any size are made beside it.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{self, BufRead, BufReader, Stdin, Write},
    process::ExitCode,
};

use anyhow::Context;
use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Schema, SchemaRef},
};
use arrow_flight::{FlightData, SchemaAsIpc, utils::batches_to_flight_data};
use arrow_ipc::writer::IpcWriteOptions;
use duckdb::{Config, Connection, Statement, params_from_iter, types::Value as DuckValue};
use prost::Message;
use rustix::process::{Resource, Rlimit, Signal, getpid, kill_process, setrlimit};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    NOTE,
    frame::{FRAME_MAX_BYTES, Failure, Files, Frame, Limits, Task},
    parameter::{self, Parameter},
    placeholders, statement,
};
use crate::{domain::TABLES, error::DuckDbCause};

/// Pieces of an answer are about as large as this.
const PIECE_BYTES: usize = 1 << 20;
/// A deeply nested statement is walked in a stack of this size; what needs more ends this process and nothing else.
const STACK_BYTES: usize = 32 << 20;
const LINE_MAX_BYTES: u64 = 4 << 20;

/// Answers one query. All that can go wrong is said in a frame, or by how the process ends.
pub(crate) fn work() -> ExitCode {
    let working = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(|| {
        let mut out = io::stdout().lock();
        let last = match answer(&mut out) {
            Ok(()) => Frame::Done,
            Err(failure) => Frame::Failed(failure),
        };
        last.write(&mut out)
    });
    match working.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn answer(out: &mut impl Write) -> Result<(), Failure> {
    let mut told = BufReader::new(io::stdin());
    let task: Task = line(&mut told)?;
    // Where all of a machine's memory is gone, the kernel ends a query first. It may refuse to be told.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Cpu, u64::from(task.limits.seconds + 1) * u64::from(task.limits.threads))?;
    let db = open(&task).map_err(|error| internal(&error))?;

    let explained = statement::explained(&task.sql).map_err(Failure::Refused)?;
    let query = explained.unwrap_or(&task.sql);
    let parsed: String = db
        .query_row("select json_serialize_sql(?::varchar)::varchar", [query], |row| row.get(0))
        .map_err(from_duckdb)?;
    let mut parsed = serde_json::Deserializer::from_str(&parsed);
    parsed.disable_recursion_limit();
    let parsed: Value = serde::Deserialize::deserialize(&mut parsed).map_err(|e| internal(&e))?;
    let is_table = |name: &str| task.tables.contains_key(name);
    let needs = statement::tables(&parsed, is_table).map_err(Failure::Refused)?;
    Frame::Needs(needs.into_iter().collect()).write(out).map_err(|error| internal(&error))?;
    let files: Files = line(&mut told)?;
    end_with_parent(told);

    show(&db, &task, &files).map_err(|error| match from_duckdb(error) {
        Failure::Sql(message) => Failure::Internal(message),
        known => known,
    })?;
    let used = data_bytes().map_err(|error| internal(&error))?;
    limit(Resource::Data, used + (u64::from(task.limits.memory_mib) << 20))?;
    let sql = match explained {
        Some(query) => format!("explain {query}"),
        None if task.columns_only => columns_of(&db, &parsed)?,
        None => task.sql.clone(),
    };
    run(&db, &sql, &task, &parsed, Answer::new(&task, &files, out))
}

fn run(
    db: &Connection,
    sql: &str,
    task: &Task,
    parsed: &Value,
    mut answer: Answer<'_, impl Write>,
) -> Result<(), Failure> {
    let mut statement = db.prepare(sql).map_err(from_duckdb)?;
    let places = 1..=statement.parameter_count();
    let names = places.map(|place| statement.parameter_name(place)).collect::<Result<Vec<_>, _>>();
    let names = names.map_err(from_duckdb)?;
    let values = if task.columns_only {
        vec![DuckValue::Null; names.len()]
    } else {
        let given = read_parameters(&task.parameters).map_err(Failure::Refused)?;
        parameter::chosen(&names, &given).map_err(Failure::Refused)?
    };
    let columns = begin(&mut statement, values)?;
    answer.send_columns(&columns)?;
    if task.columns_only {
        let kind = |name: &str| {
            let mut kinds = TABLES.iter().map(|table| table.kind(name, &task.time_zone));
            kinds.find_map(|kind| kind)
        };
        let wanted = placeholders::schema(parsed, &names, &task.time_zone, kind);
        return answer.send(&SchemaAsIpc::new(&wanted, &IpcWriteOptions::default()).into());
    }
    while let Some(rows) = statement.step().map_err(from_duckdb)? {
        answer.send_rows(&RecordBatch::from(&rows))?;
    }
    Ok(())
}

/// Where Arrow panics at them, which ends this process, their sender is told so with its last words.
fn read_parameters(pieces: &[Vec<u8>]) -> Result<Vec<Parameter>, String> {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {
        let why = Failure::Refused("the values cannot be read".to_owned());
        let _ = Frame::Failed(why).write(&mut io::stdout());
    }));
    let read = parameter::read(pieces);
    std::panic::set_hook(before);
    read
}

fn line<T: DeserializeOwned>(told: &mut BufReader<Stdin>) -> Result<T, Failure> {
    let mut line = String::new();
    io::Read::take(&mut *told, LINE_MAX_BYTES).read_line(&mut line).map_err(|e| internal(&e))?;
    serde_json::from_str(&line).map_err(|error| internal(&error))
}

fn limit(what: Resource, most: u64) -> Result<(), Failure> {
    setrlimit(what, Rlimit { current: Some(most), maximum: Some(most) })
        .map_err(|error| internal(&error))
}

/// A query whose asker went away is of no use to anybody.
fn end_with_parent(mut told: BufReader<Stdin>) {
    std::thread::spawn(move || {
        let _ = io::copy(&mut told, &mut io::sink());
        let _ = kill_process(getpid(), Signal::KILL);
    });
}

fn open(task: &Task) -> duckdb::Result<Connection> {
    let mut settings = Config::default();
    let Limits { memory_mib, threads, .. } = task.limits;
    // To keep the order of rows, all that a LIMIT lets through would be held. One thread keeps it anyway.
    let keep_order = threads > 1;
    for (name, value) in [
        ("preserve_insertion_order", keep_order.to_string().as_str()),
        ("memory_limit", format!("{}MiB", memory_mib / 4 * 3).as_str()),
        ("threads", &threads.to_string()),
        ("temp_directory", ""),
        ("enable_external_file_cache", "false"),
        ("autoinstall_known_extensions", "false"),
        ("autoload_known_extensions", "false"),
        ("allow_community_extensions", "false"),
        ("allow_persistent_secrets", "false"),
    ] {
        settings = settings.with(name, value)?;
    }
    Connection::open_in_memory_with_flags(settings)
}

/// Makes the tables visible, and nothing else.
fn show(db: &Connection, task: &Task, files: &Files) -> duckdb::Result<()> {
    // A setting and a view take no bound values.
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let list =
        |paths: &[String]| paths.iter().map(|path| quoted(path)).collect::<Vec<_>>().join(", ");
    let all: Vec<String> = files.of_tables.values().flatten().cloned().collect();
    // A file's columns are looked at for the view and for the query; in this process's life they stay what they are.
    db.execute_batch(&format!(
        "set TimeZone = {}; set parquet_metadata_cache = true; set allowed_paths = [{}]; set enable_external_access = false;",
        quoted(&task.time_zone),
        list(&all)
    ))?;
    let empty = task.tables.iter().map(|(table, empty)| (table.as_str(), empty.clone()));
    let mut views: BTreeMap<&str, String> = empty.collect();
    views.insert(crate::domain::WATERMARK, files.watermark.clone());
    for (table, paths) in files.of_tables.iter().filter(|(_, paths)| !paths.is_empty()) {
        let read = format!(
            "select * from read_parquet([{}], hive_partitioning = false, union_by_name = true)",
            list(paths)
        );
        views.insert(table, read);
    }
    for (table, definition) in views {
        db.execute_batch(&format!("create view {table} as {definition};"))?;
    }
    db.execute_batch("set lock_configuration = true;")
}

/// The statement, as DuckDB writes it, with no row.
fn columns_of(db: &Connection, parsed: &Value) -> Result<String, Failure> {
    let written = "select json_deserialize_sql(?::varchar::json)";
    let sql: String =
        db.query_row(written, [parsed.to_string()], |row| row.get(0)).map_err(from_duckdb)?;
    Ok(format!("select * from ({}) limit 0", sql.trim_end_matches(';')))
}

/// Gives the statement's columns; its rows are to be fetched.
fn begin(statement: &mut Statement<'_>, values: Vec<DuckValue>) -> Result<SchemaRef, Failure> {
    let running = statement.stream_arrow(params_from_iter(values));
    let columns = running.map_err(from_duckdb)?.get_schema();
    for field in columns.fields() {
        if matches!(field.data_type(), DataType::Dictionary(..)) {
            return Err(Failure::Refused(format!(
                "{} is an ENUM: cast it to VARCHAR",
                field.name()
            )));
        }
    }
    Ok(columns)
}

/// Goes out in pieces, of which only so many may still come.
struct Answer<'a, W> {
    rows: u64,
    bytes: u64,
    note: &'a str,
    out: &'a mut W,
}

impl<'a, W: Write> Answer<'a, W> {
    fn new(task: &Task, files: &'a Files, out: &'a mut W) -> Self {
        let Limits { rows, answer_mib, .. } = task.limits;
        Self { rows, bytes: u64::from(answer_mib) << 20, note: &files.note, out }
    }

    fn send_columns(&mut self, columns: &Schema) -> Result<(), Failure> {
        let note = HashMap::from([(NOTE.to_owned(), self.note.to_owned())]);
        let noted = Schema::new_with_metadata(columns.fields().clone(), note);
        self.send(&SchemaAsIpc::new(&noted, &IpcWriteOptions::default()).into())
    }

    /// In pieces that are not too large.
    fn send_rows(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        let count = rows.num_rows();
        let sizes = rows.columns().iter().map(|column| column.to_data().get_slice_memory_size());
        let size = sizes.sum::<Result<usize, _>>().map_err(|error| internal(&error))?;
        if size > PIECE_BYTES && count > 1 {
            self.send_rows(&rows.slice(0, count / 2))?;
            return self.send_rows(&rows.slice(count / 2, count - count / 2));
        }
        let rows_left = self.rows.checked_sub(count as u64);
        self.rows = rows_left.ok_or(Failure::TooManyRows)?;
        let encoded = batches_to_flight_data(&rows.schema(), vec![rows.clone()]);
        // The first is the schema once more.
        for data in encoded.map_err(|error| internal(&error))?.iter().skip(1) {
            self.send(data)?;
        }
        Ok(())
    }

    fn send(&mut self, data: &FlightData) -> Result<(), Failure> {
        let bytes = data.encode_to_vec();
        if bytes.len() > FRAME_MAX_BYTES as usize {
            return Err(Failure::TooManyBytes);
        }
        let bytes_left = self.bytes.checked_sub(bytes.len() as u64);
        self.bytes = bytes_left.ok_or(Failure::TooManyBytes)?;
        Frame::Data(bytes).write(self.out).map_err(|error| internal(&error))
    }
}

/// What the process has taken for data so far.
fn data_bytes() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kib: u64 =
        line.and_then(|line| line.split_whitespace().next()).context("no VmData")?.parse()?;
    Ok(kib << 10)
}

fn from_duckdb(error: duckdb::Error) -> Failure {
    let message = match error {
        duckdb::Error::DuckDBFailure(_, Some(message)) => message,
        other => other.to_string(),
    };
    match DuckDbCause::of(&message) {
        DuckDbCause::OutOfMemory => Failure::OutOfMemory,
        DuckDbCause::FileUnreadable => Failure::FileUnreadable(message),
        DuckDbCause::Other => Failure::Sql(message),
    }
}

fn internal(error: &(impl std::fmt::Display + ?Sized)) -> Failure {
    Failure::Internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What holds where a statement gets past the look at it.
    #[test]
    fn duckdb_itself_reaches_nothing_but_the_files_it_was_shown() {
        let folder = tempfile::TempDir::with_prefix("o'lap ").unwrap();
        let file = |name: &str| folder.path().join(name).display().to_string();
        let maker = Connection::open_in_memory().unwrap();
        for name in ["shown.parquet", "hidden.parquet"] {
            let path = file(name).replace('\'', "''");
            maker.execute_batch(&format!("copy (select 7 as x) to '{path}'")).unwrap();
        }
        let task = Task {
            sql: String::new(),
            parameters: Vec::new(),
            columns_only: false,
            limits: Limits { memory_mib: 64, threads: 1, seconds: 1, rows: 1, answer_mib: 1 },
            time_zone: "Europe/London".to_owned(),
            tables: BTreeMap::from([("empty".to_owned(), "select 1 as y where false".to_owned())]),
        };
        let files = Files {
            of_tables: BTreeMap::from([("shown".to_owned(), vec![file("shown.parquet")])]),
            watermark: "select 1 as version".to_owned(),
            note: String::new(),
        };
        let db = open(&task).unwrap();
        show(&db, &task, &files).unwrap();
        let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
        assert_eq!(number("select sum(x)::bigint from shown").unwrap(), 7);
        assert_eq!(number("select count(*) from empty").unwrap(), 0);
        assert_eq!(number("select version::bigint from watermark").unwrap(), 1);

        let there = |name: &str| file(name).replace('\'', "''");
        for sql in [
            format!("from '{}'", there("hidden.parquet")),
            format!("from read_parquet('{}')", there("*.parquet")),
            format!("from glob('{}')", there("*")),
            "from read_csv('/etc/passwd')".to_owned(),
            "from read_text('/proc/self/environ')".to_owned(),
            format!("copy (select 1) to '{}'", there("new.csv")),
            format!("attach '{}'", there("new.db")),
            "load httpfs".to_owned(),
            "install httpfs".to_owned(),
            "set threads = 8".to_owned(),
            "set memory_limit = '8GB'".to_owned(),
            "set enable_external_access = true".to_owned(),
            "set allowed_paths = ['/etc/passwd']".to_owned(),
            "reset lock_configuration".to_owned(),
        ] {
            assert!(db.execute_batch(&sql).is_err(), "{sql}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing was written");
    }
}
