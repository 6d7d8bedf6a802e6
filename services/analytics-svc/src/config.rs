use std::{net::SocketAddr, path::PathBuf};

use chrono_tz::Tz;

/// Every setting of the service. Each comes from an environment variable, too. The defaults suit a Pi that does other things as well.
#[derive(Debug, Clone, clap::Parser)]
pub struct Config {
    #[command(flatten)]
    pub server: rpc::ServerConfig,
    #[command(flatten)]
    pub client: rpc::ClientConfig,
    #[command(flatten)]
    pub telemetry: telemetry::TelemetryConfig,
    /// Where the dashboard is, for browsers.
    #[arg(long, env = "BRAMBLE_HTTP_ADDR", default_value = "127.0.0.1:8080")]
    pub http_addr: SocketAddr,
    /// Who has the newest orders, and how its log is.
    #[arg(long, env = "BRAMBLE_ORDERS_URL", default_value = "http://127.0.0.1:50051")]
    pub orders_url: String,
    /// Who knows what is to be reordered, and how its log is.
    #[arg(long, env = "BRAMBLE_INVENTORY_URL", default_value = "http://127.0.0.1:50052")]
    pub inventory_url: String,
    /// Whose log the dashboard asks about.
    #[arg(long, env = "BRAMBLE_BILLING_URL", default_value = "http://127.0.0.1:50053")]
    pub billing_url: String,
    /// The same.
    #[arg(long, env = "BRAMBLE_HR_URL", default_value = "http://127.0.0.1:50054")]
    pub hr_url: String,
    /// The same.
    #[arg(long, env = "BRAMBLE_LEDGER_URL", default_value = "http://127.0.0.1:50055")]
    pub ledger_url: String,
    /// Who writes the materializations.
    #[arg(long, env = "BRAMBLE_OLAP_URL", default_value = "http://127.0.0.1:50057")]
    pub olap_url: String,
    /// Folder of the materializations, which olap-consumer writes.
    #[arg(long, env = "BRAMBLE_OLAP_DIR")]
    pub olap_dir: PathBuf,
    /// Where the business is: its days are those of the ageing.
    #[arg(long, env = "BRAMBLE_TIME_ZONE", default_value = "Europe/London")]
    pub time_zone: Tz,
    /// MiB that DuckDB may use for its work; a query that needs more is refused.
    #[arg(
        long,
        env = "BRAMBLE_DUCKDB_MEMORY_MIB",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(16..)
    )]
    pub duckdb_memory_mib: u32,
    /// Threads that DuckDB shares between all queries.
    #[arg(
        long,
        env = "BRAMBLE_DUCKDB_THREADS",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=64)
    )]
    pub duckdb_threads: u8,
    /// How many queries run at once; more wait for one of them to end.
    #[arg(
        long,
        env = "BRAMBLE_QUERIES_MAX",
        default_value_t = 2,
        value_parser = clap::value_parser!(u8).range(1..=64)
    )]
    pub queries_max: u8,
    /// MiB that one query in SQL may take, whatever it does.
    #[arg(
        long,
        env = "BRAMBLE_SQL_MEMORY_MIB",
        default_value_t = 128,
        value_parser = clap::value_parser!(u32).range(64..=65_536)
    )]
    pub sql_memory_mib: u32,
    /// Threads of one query in SQL.
    #[arg(
        long,
        env = "BRAMBLE_SQL_THREADS",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=64)
    )]
    pub sql_threads: u8,
    /// Seconds after which a query in SQL is ended, the reading of its answer included. olap-consumer keeps files that were replaced for 90 s: a
    /// query that reads for longer while the shop trades may find one gone.
    #[arg(
        long,
        env = "BRAMBLE_SQL_SECONDS_MAX",
        default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=3600)
    )]
    pub sql_seconds_max: u32,
    /// Rows of an answer in SQL; one with more fails behind them.
    #[arg(long, env = "BRAMBLE_SQL_ROWS_MAX", default_value_t = 1_000_000)]
    pub sql_rows_max: u64,
    /// MiB of an answer in SQL.
    #[arg(
        long,
        env = "BRAMBLE_SQL_ANSWER_MIB_MAX",
        default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..=4096)
    )]
    pub sql_answer_mib_max: u32,
    /// How many queries in SQL run at once; more wait for one of them to end.
    #[arg(
        long,
        env = "BRAMBLE_SQL_QUERIES_MAX",
        default_value_t = 2,
        value_parser = clap::value_parser!(u8).range(1..=64)
    )]
    pub sql_queries_max: u8,
    /// The program that runs one query in SQL, if it is not this one.
    #[arg(long, env = "BRAMBLE_SQL_WORKER", hide = true)]
    pub sql_worker: Option<PathBuf>,
}
