//! DuckDB: one database in memory, which holds nothing, and a few connections to it.
//!
//! It may read below the folder of the materializations and nowhere else: no extension is installed or loaded, nothing is spilled to the
//! disk, and the configuration is locked. It keeps no file's contents: the kernel does, and files of old versions would stay in its cache.
//! A thread of its allocator's gives memory back a second after a query is over; else it would keep what the largest one took.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use duckdb::Connection;
use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use crate::{AnalyticsError, Config};

/// How often a query is told that its time is over.
const INTERRUPT_EVERY: Duration = Duration::from_millis(100);

pub(crate) struct Database {
    /// For looking whether DuckDB is there, and the one that the others are made of.
    first: Mutex<Connection>,
    /// Never more than there are permits.
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Database {
    pub(crate) fn open(folder: &str, config: &Config) -> duckdb::Result<Self> {
        let mut settings = duckdb::Config::default();
        for (name, value) in [
            ("memory_limit", format!("{}MiB", config.duckdb_memory_mib).as_str()),
            ("threads", &config.duckdb_threads.to_string()),
            ("temp_directory", ""),
            ("allocator_background_threads", "true"),
            ("enable_external_file_cache", "false"),
            ("autoinstall_known_extensions", "false"),
            ("autoload_known_extensions", "false"),
            ("allow_community_extensions", "false"),
            ("allow_persistent_secrets", "false"),
        ] {
            settings = settings.with(name, value)?;
        }
        let first = Connection::open_in_memory_with_flags(settings)?;
        // A setting takes no bound value.
        let folder = folder.replace('\'', "''");
        first.execute_batch(&format!(
            "set allowed_directories = ['{folder}/']; set enable_external_access = false; set lock_configuration = true;"
        ))?;
        let permits = Arc::new(Semaphore::new(usize::from(config.queries_max)));
        Ok(Self { first: Mutex::new(first), idle: Mutex::default(), permits })
    }

    /// Runs a query once fewer than the maximum run, and gives it up at the deadline.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        query: impl FnOnce(&Connection) -> Result<T, AnalyticsError> + Send + 'static,
    ) -> Result<T, AnalyticsError> {
        let permit = timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(AnalyticsError::TooManyQueries) };
        let idle = lock(&self.idle).pop();
        let connection = idle.map_or_else(|| lock(&self.first).try_clone(), Ok)?;
        let interrupt = connection.interrupt_handle();
        let mut running = spawn_blocking(move || (query(&connection), connection, permit));
        let (mut until, mut is_late) = (deadline, false);
        let over = loop {
            if let Ok(over) = timeout_at(until, &mut running).await {
                break over;
            }
            // DuckDB forgets it as soon as the next statement begins.
            interrupt.interrupt();
            (until, is_late) = (Instant::now() + INTERRUPT_EVERY, true);
        };
        // Only now: an interrupt is for this query, not for the connection's next one.
        let (found, connection, permit) = over?;
        lock(&self.idle).push(connection);
        drop(permit);
        if is_late { found.map_err(|_| AnalyticsError::OutOfTime) } else { found }
    }

    pub(crate) fn is_there(&self) -> bool {
        lock(&self.first).query_row("select 1", [], |row| row.get::<_, i32>(0)).is_ok()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use clap::Parser;
    use rpc::Refusal;
    use tempfile::TempDir;
    use tonic::Code;

    use super::*;

    fn open(queries_max: &str) -> (TempDir, Arc<Database>) {
        let folder = TempDir::with_prefix("o'lap ").unwrap();
        let path = folder.path().to_str().unwrap();
        let config = ["analytics-svc", "--olap-dir", path, "--queries-max", queries_max];
        let database = Database::open(path, &Config::parse_from(config)).unwrap();
        (folder, Arc::new(database))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn count(db: &Connection, sql: &str) -> Result<i64, AnalyticsError> {
        Ok(db.query_row(sql, [], |row| row.get(0))?)
    }

    /// Whole rows of it could not be counted within the tests' life.
    const ENDLESS: &str = "select count(*) from range(1000000000000) a where a.range % 7 = 3";

    #[test]
    fn nothing_can_be_reached_but_the_folder() {
        let (folder, database) = open("1");
        let db = lock(&database.first);
        let inside = folder.path().join("x.parquet").display().to_string().replace('\'', "''");
        db.execute_batch(&format!("copy (select 42 as x) to '{inside}'")).unwrap();
        let read = format!("select x::bigint from read_parquet('{inside}')");
        assert_eq!(count(&db, &read).unwrap(), 42);

        let elsewhere = tempfile::tempdir().unwrap();
        let there = elsewhere.path().join("x.parquet").display().to_string();
        std::fs::copy(folder.path().join("x.parquet"), &there).unwrap();
        let name = elsewhere.path().file_name().unwrap().display();
        let climbing = inside.replace("x.parquet", &format!("../{name}/x.parquet"));
        for sql in [
            format!("select x from read_parquet('{there}')"),
            format!("select x from read_parquet('{climbing}')"),
            format!("copy (select 1) to '{there}.csv'"),
            format!("attach '{there}.db'"),
            "select * from read_text('/etc/passwd')".to_owned(),
            "select * from glob('/etc/*')".to_owned(),
            "install httpfs".to_owned(),
            "load httpfs".to_owned(),
            "select * from read_parquet('http://127.0.0.1:9/x.parquet')".to_owned(),
            "set enable_external_access = true".to_owned(),
            "set threads = 8".to_owned(),
            "reset allowed_directories".to_owned(),
        ] {
            let refused = db.execute_batch(&sql);
            assert!(refused.is_err(), "{sql}");
        }
        assert!(!std::path::Path::new(&format!("{there}.csv")).exists());
    }

    #[test]
    fn a_query_that_needs_too_much_memory_fails_and_the_next_one_does_not() {
        let (folder, database) = open("1");
        let db = lock(&database.first);
        let large = "select count(*) from (select distinct hash(range) from range(20000000))";
        let refused = count(&db, large).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
        assert_eq!(count(&db, "select 7::bigint").unwrap(), 7);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing was spilled");
    }

    #[tokio::test]
    async fn a_query_is_given_up_at_its_deadline_and_its_connection_is_still_good() {
        let (_folder, database) = open("1");
        let started = Instant::now();
        let deadline = started + Duration::from_millis(200);
        let given_up = database.run(deadline, |db| count(db, ENDLESS)).await;
        assert!(matches!(given_up, Err(AnalyticsError::OutOfTime)), "{given_up:?}");
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        let next = database.run(soon(), |db| count(db, "select 7::bigint")).await;
        assert_eq!(next.unwrap(), 7);
        assert_eq!(lock(&database.idle).len(), 1, "it is the same one");
    }

    #[tokio::test]
    async fn a_query_whose_deadline_falls_between_two_statements_is_given_up_too() {
        let (_folder, database) = open("1");
        let deadline = Instant::now() + Duration::from_millis(200);
        let hashes_files = move |db: &Connection| {
            std::thread::sleep(Duration::from_millis(600));
            count(db, ENDLESS)
        };
        let given_up = timeout_at(soon(), database.run(deadline, hashes_files)).await.unwrap();
        assert!(matches!(given_up, Err(AnalyticsError::OutOfTime)), "{given_up:?}");
        assert_eq!(lock(&database.idle).len(), 1, "its connection is still good");
    }

    #[tokio::test]
    async fn no_more_queries_run_at_once_than_may_and_one_that_waits_too_long_is_refused() {
        let (_folder, database) = open("2");
        let (end, ended) = mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        let running: Vec<_> = (0..2)
            .map(|_| {
                let (database, ended) = (Arc::clone(&database), Arc::clone(&ended));
                let wait = move |_: &Connection| {
                    let _ = lock(&ended).recv();
                    Ok(())
                };
                tokio::spawn(async move { database.run(soon(), wait).await })
            })
            .collect();
        while database.permits.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let deadline = Instant::now() + Duration::from_millis(100);
        let refused = database.run(deadline, |db| count(db, "select 7::bigint")).await;
        assert!(matches!(refused, Err(AnalyticsError::TooManyQueries)), "{refused:?}");

        let waiting = database.run(soon(), |db| count(db, "select 7::bigint"));
        let freeing = async {
            for _ in 0..2 {
                end.send(()).unwrap();
            }
        };
        let (waited, ()) = tokio::join!(waiting, freeing);
        assert_eq!(waited.unwrap(), 7);
        for query in running {
            query.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_query_that_panics_costs_nobody_else_an_answer() {
        let (_folder, database) = open("1");
        let failed = database.run(soon(), |_| -> Result<(), _> { panic!("as planned") }).await;
        assert!(matches!(failed, Err(AnalyticsError::Panicked(_))), "{failed:?}");
        let next = database.run(soon(), |db| count(db, "select 7::bigint")).await;
        assert_eq!(next.unwrap(), 7);
    }
}
