use clap::ValueEnum;
use schema::CrossSchema;

/// Bring a database up to date. Safe to run again, and by several at once.
#[derive(Debug, clap::Args)]
pub(crate) struct Migrate {
    /// The database, with a role that may create roles.
    #[arg(long, env = "BRAMBLE_ADMIN_DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Instead: apply or drop the foreign keys that cross schemas.
    #[arg(long, value_enum)]
    cross_schema: Option<Keys>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Keys {
    Apply,
    Drop,
}

pub(crate) async fn run(command: Migrate) -> anyhow::Result<()> {
    match command.cross_schema {
        None => schema::migrate(&command.database_url).await,
        Some(Keys::Apply) => schema::cross_schema(&command.database_url, CrossSchema::Apply).await,
        Some(Keys::Drop) => schema::cross_schema(&command.database_url, CrossSchema::Drop).await,
    }
}
