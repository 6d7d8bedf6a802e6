//! The pool's nets, each alone: no handler's task protects anything here.
#![expect(clippy::unwrap_used, reason = "a test fails by it, its helpers too")]

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use sqlx::PgPool;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use testkit::{TestDb, eventually};

async fn pool(database: &TestDb, connections: u32) -> PgPool {
    let config = pg::PgConfig { database_url: database.url("hr_svc"), db_connections: connections };
    pg::connect(&config, "hr").await.unwrap()
}

async fn pid(pool: &PgPool) -> i32 {
    sqlx::query_scalar("select pg_backend_pid()").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_connection_that_is_well_is_used_again() {
    let database = TestDb::start().await;
    let pool = pool(&database, 1).await;
    let first = pid(&pool).await;
    for _ in 0..10 {
        let mut tx = pool.begin().await.unwrap();
        sqlx::query("select pg_current_xact_id()").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        drop(pool.begin().await.unwrap());
        assert_eq!(pid(&pool).await, first);
    }
}

#[tokio::test]
async fn a_connection_that_comes_back_inside_a_transaction_is_closed() {
    let database = TestDb::start().await;
    let pool = pool(&database, 1).await;
    for inside in ["begin", "begin; select 1/0"] {
        let first = pid(&pool).await;
        let mut connection = pool.acquire().await.unwrap();
        let _ = sqlx::raw_sql(inside).execute(&mut *connection).await;
        drop(connection);
        assert_ne!(pid(&pool).await, first, "{inside}");
    }
}

#[tokio::test]
async fn what_is_planned_for_its_filters_leaves_nothing_on_the_connection() {
    let database = TestDb::start().await;
    let pool = pool(&database, 1).await;
    let first = pid(&pool).await;
    let mode = "select current_setting('plan_cache_mode')";
    for _ in 0..3 {
        let mut filtered = pg::FilteredRead::begin(&pool).await.unwrap();
        let inside: String = sqlx::query_scalar(mode).fetch_one(&mut *filtered).await.unwrap();
        assert_eq!(inside, "force_custom_plan");
        drop(filtered);
        let after: String = sqlx::query_scalar(mode).fetch_one(&pool).await.unwrap();
        assert_eq!((after.as_str(), pid(&pool).await), ("auto", first));
    }
}

#[tokio::test]
async fn no_session_waits_for_ever() {
    let database = TestDb::start().await;
    let pool = pool(&database, 1).await;
    for setting in ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"] {
        let value: i32 = sqlx::query_scalar("select setting::int from pg_settings where name = $1")
            .bind(setting)
            .fetch_one(&pool)
            .await
            .unwrap();
        assert!((1..=15_000).contains(&value), "{setting} is {value} ms");
    }
}

/// As after a stall of the whole machine: nothing was done, and the same may work later.
#[tokio::test]
async fn a_session_that_was_ended_for_its_silence_may_be_tried_again() {
    let database = TestDb::start().await;
    let pool = pool(&database, 1).await;
    let mut tx = pool.begin().await.unwrap();
    let ends = "set local idle_in_transaction_session_timeout = '10ms'";
    sqlx::query(ends).execute(&mut *tx).await.unwrap();
    let watcher = PgPool::connect(&database.admin_url()).await.unwrap();
    let are_left = "select count(*) from pg_stat_activity
                    where datname = current_database() and usename = 'hr_svc'";
    eventually("the session has ended", Duration::from_secs(60), async || {
        sqlx::query_scalar::<_, i64>(are_left).fetch_one(&watcher).await.unwrap() == 0
    })
    .await;
    let failed = sqlx::query("select 1").execute(&mut *tx).await.unwrap_err();
    assert!(pg::is_away(&failed), "{failed:?}");
    drop(tx);
    assert!(pid(&pool).await > 0);
}

/// Drops a future after so many polls.
struct Polls<F>(F, u32);

impl<F: Future + Unpin> Future for Polls<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.1 = self.1.saturating_sub(1);
        match Pin::new(&mut self.0).poll(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending if self.1 == 0 => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    }
}

async fn write(pool: PgPool) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query("insert into hr.test_writes values ('in a transaction')").execute(&mut *tx).await?;
    tx.commit().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_is_dropped_at_any_poll_leaves_no_transaction_behind() {
    let database = TestDb::start().await;
    let admin = PgPool::connect(&database.admin_url()).await.unwrap();
    sqlx::raw_sql("create table hr.test_writes (text text); grant all on hr.test_writes to hr_svc")
        .execute(&admin)
        .await
        .unwrap();
    let pool = pool(&database, 4).await;
    for round in 0..1200 {
        Polls(Box::pin(write(pool.clone())), 1 + round % 12).await;
    }
    for number in 0..100 {
        let text = format!("plain {number}");
        sqlx::query("insert into hr.test_writes values ($1)")
            .bind(text)
            .execute(&pool)
            .await
            .unwrap();
    }
    let plain: i64 =
        sqlx::query_scalar("select count(*) from hr.test_writes where text like 'plain%'")
            .fetch_one(&admin)
            .await
            .unwrap();
    assert_eq!(plain, 100, "all were answered");
    // One that is being closed may be there for a moment; one that was left ends by its own limit of 10 s only.
    eventually("nobody is left in a transaction", Duration::from_secs(8), async || {
        let inside: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where datname = current_database()
               and usename = 'hr_svc' and state like 'idle in transaction%'",
        )
        .fetch_one(&admin)
        .await
        .unwrap();
        inside == 0
    })
    .await;
}

#[tokio::test]
async fn postgres_is_there_while_all_connections_are_at_work() {
    let database = TestDb::start().await;
    let pool = pool(&database, 1).await;
    let held = pool.acquire().await.unwrap();
    // Whoever waits for a place in the pool waits for 10 s.
    let there = tokio::time::timeout(Duration::from_secs(9), pg::is_there(pool.clone())).await;
    assert_eq!(there, Ok(true));
    drop(held);
    assert!(pg::is_there(pool).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_to_a_host_that_vanished_gives_its_place_back() {
    let database = TestDb::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (to, vanished) = (database.address(), Arc::new(AtomicBool::new(false)));
    let gone = Arc::clone(&vanished);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&to).await.unwrap();
            // Those who are inside when it vanishes hear nothing any more; those who come later do.
            let of_this =
                if gone.load(Ordering::SeqCst) { Arc::default() } else { Arc::clone(&gone) };
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            tokio::spawn(carry(from_client, to_server, Arc::clone(&of_this)));
            tokio::spawn(carry(from_server, to_client, of_this));
        }
    });
    let config = pg::PgConfig { database_url: database.url_at("hr_svc", port), db_connections: 1 };
    let pool = pg::connect(&config, "hr").await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    vanished.store(true, Ordering::SeqCst);
    let write = sqlx::query("select pg_current_xact_id()").execute(&mut *tx);
    assert!(tokio::time::timeout(Duration::from_millis(200), write).await.is_err());
    drop(tx);
    sqlx::query("select 1").execute(&pool).await.unwrap();
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, vanished: Arc<AtomicBool>) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if !vanished.load(Ordering::SeqCst) && to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
