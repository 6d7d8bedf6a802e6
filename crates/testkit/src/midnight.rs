use sqlx::PgPool;

/// Waits for midnight where it is close, so that today is the same day throughout a test. The clock is the database's, as it is for services.
pub async fn past_midnight(db: &PgPool) {
    let wait = "select pg_sleep(extract(epoch from time '24:00' - clock))
                from (select (now() at time zone 'Europe/London')::time as clock) london
                where clock > '23:58'";
    sqlx::query(wait).execute(db).await.unwrap();
}
