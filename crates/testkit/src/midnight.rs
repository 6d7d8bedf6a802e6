use sqlx::PgPool;

/// Waits for midnight in a zone where it is close, so that today is the same day throughout a test of so many minutes. The clock is the
/// database's, as it is for services.
pub async fn past_midnight(db: &PgPool, zone: &str, minutes: i32) {
    let wait = "select pg_sleep(extract(epoch from time '24:00' - clock))
                from (select (now() at time zone $1)::time as clock) there
                where clock > time '24:00' - make_interval(mins => $2)";
    sqlx::query(wait).bind(zone).bind(minutes).execute(db).await.unwrap();
}
