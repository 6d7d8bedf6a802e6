//! The database as the services expect it: one schema each, with an owner that cannot log in and a service role that may use this
//! schema only; the migrations of all five; and the foreign keys that cross schemas while these share a database.
//!
//! **Invariant:** a service role may not update or delete in a table that is append-only, and the table's trigger refuses it to its
//! owner too.

use std::time::Duration;

use anyhow::Context;
use sqlx::{AssertSqlSafe, Connection, PgConnection, migrate::Migrator};

/// The schemas, in the order of their migrations. `<schema>_svc` is the role that logs in.
pub const SCHEMAS: [&str; 5] = ["orders", "inventory", "billing", "hr", "ledger"];

/// Any number: whoever migrates holds this lock.
const MIGRATION_LOCK: i64 = 0x0062_7261_6d62_6c65;

const ROLE_TRIES_MAX: u32 = 5;
const ROLE_RETRY_AFTER: Duration = Duration::from_millis(100);

/// Whether a database keeps the foreign keys that cross schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrossSchema {
    Apply,
    Drop,
}

/// Makes roles and schemas and runs what has not run yet. `admin_url` names the database and a role that may create roles.
/// A service role that is new gets the password of `BRAMBLE_<SCHEMA>_DB_PASSWORD`, or else its own name.
pub async fn migrate(admin_url: &str) -> anyhow::Result<()> {
    migrate_up_to(admin_url, None).await
}

/// The same as far as a version goes: how a database was before it.
pub async fn migrate_up_to(admin_url: &str, version: Option<i64>) -> anyhow::Result<()> {
    let mut db = PgConnection::connect(admin_url).await.context("cannot reach Postgres")?;
    sqlx::query("select pg_advisory_lock($1)").bind(MIGRATION_LOCK).execute(&mut db).await?;
    for schema in SCHEMAS {
        make_roles(&mut db, schema).await.with_context(|| format!("roles of {schema}"))?;
        run_sets(&mut db, schema, version)
            .await
            .with_context(|| format!("migrations of {schema}"))?;
        grant(&mut db, schema).await.with_context(|| format!("grants of {schema}"))?;
    }
    db.close().await?;
    Ok(())
}

/// Applies or drops the foreign keys that cross schemas; doing either twice is the same as once.
pub async fn cross_schema(admin_url: &str, what: CrossSchema) -> anyhow::Result<()> {
    let sql = match what {
        CrossSchema::Apply => include_str!("../../../migrations/cross-schema/apply.sql"),
        CrossSchema::Drop => include_str!("../../../migrations/cross-schema/drop.sql"),
    };
    let mut db = PgConnection::connect(admin_url).await.context("cannot reach Postgres")?;
    let mut tx = db.begin().await?;
    sqlx::raw_sql(sql).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Roles are the whole server's and the lock is this database's: where another one is migrated at this moment, what it has made is
/// found the next time.
async fn make_roles(db: &mut PgConnection, schema: &str) -> anyhow::Result<()> {
    for _ in 1..ROLE_TRIES_MAX {
        if create_roles(db, schema).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(ROLE_RETRY_AFTER).await;
    }
    create_roles(db, schema).await
}

async fn create_roles(db: &mut PgConnection, schema: &str) -> anyhow::Result<()> {
    let owner = format!("bramble_{schema}_owner");
    let service = format!("{schema}_svc");
    let variable = format!("BRAMBLE_{}_DB_PASSWORD", schema.to_uppercase());
    let password = std::env::var(variable).unwrap_or_else(|_| service.clone()).replace('\'', "''");
    if !role_exists(db, &owner).await? {
        execute(db, format!("create role {owner} nologin")).await?;
    }
    if !role_exists(db, &service).await? {
        execute(db, format!("create role {service} login password '{password}'")).await?;
    }
    execute(db, format!("grant {owner} to current_user")).await?;
    execute(db, format!("create schema if not exists {schema} authorization {owner}")).await?;
    execute(db, format!("grant usage on schema {schema} to {service}")).await
}

async fn role_exists(db: &mut PgConnection, role: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)")
        .bind(role)
        .fetch_one(db)
        .await
}

async fn run_sets(db: &mut PgConnection, schema: &str, version: Option<i64>) -> anyhow::Result<()> {
    execute(db, format!("set role bramble_{schema}_owner")).await?;
    execute(db, format!("set search_path to {schema}")).await?;
    let mut log = sqlx::migrate!("../../migrations/log");
    log.dangerous_set_table_name(format!("{schema}._log_migrations"));
    log.run_direct(version, db, false).await?;
    let mut own = own_set(schema)?;
    own.dangerous_set_table_name(format!("{schema}._migrations"));
    own.run_direct(version, db, false).await?;
    execute(db, "reset search_path".to_owned()).await?;
    execute(db, "reset role".to_owned()).await
}

fn own_set(schema: &str) -> anyhow::Result<Migrator> {
    Ok(match schema {
        "orders" => sqlx::migrate!("../../migrations/orders"),
        "inventory" => sqlx::migrate!("../../migrations/inventory"),
        "billing" => sqlx::migrate!("../../migrations/billing"),
        "hr" => sqlx::migrate!("../../migrations/hr"),
        "ledger" => sqlx::migrate!("../../migrations/ledger"),
        other => anyhow::bail!("no migrations for {other}"),
    })
}

async fn grant(db: &mut PgConnection, schema: &str) -> anyhow::Result<()> {
    let service = format!("{schema}_svc");
    execute(
        db,
        format!(
            "revoke all on all tables in schema {schema} from {service};
             grant select, insert, update, delete on all tables in schema {schema} to {service};
             grant usage on all sequences in schema {schema} to {service};
             revoke all on {schema}._migrations, {schema}._log_migrations from {service};
             grant select on {schema}._migrations to {service}"
        ),
    )
    .await?;
    let append_only: Vec<String> = sqlx::query_scalar(
        "select distinct c.relname::text
         from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_proc p on p.oid = t.tgfoid
         where c.relnamespace = $1::regnamespace and p.proname = 'refuse_change'",
    )
    .bind(schema)
    .fetch_all(&mut *db)
    .await?;
    for table in append_only {
        execute(db, format!("revoke update, delete, truncate on {schema}.{table} from {service}"))
            .await?;
    }
    Ok(())
}

/// Runs statements that are built of this file's constants, never of input.
async fn execute(db: &mut PgConnection, sql: String) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_wait_for_the_newest_migration_of_their_schema() {
        for schema in SCHEMAS {
            let newest = own_set(schema).unwrap().iter().map(|one| one.version).max();
            assert_eq!(newest, Some(pg::schema_version(schema)), "{schema}");
        }
    }
}
