use sqlx::PgConnection;

/// Takes the next numbers of a series, such as `INV-000042`. Others wait until this transaction ends: one that is undone gives its
/// numbers back.
pub(crate) async fn take(
    tx: &mut PgConnection,
    series: &'static str,
    count: usize,
) -> sqlx::Result<impl Iterator<Item = String> + use<>> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let first = if count == 0 {
        0
    } else {
        sqlx::query_scalar!(
            r#"update billing.number_series set next_number = next_number + $2
               where series = $1 returning next_number - $2 as "first!""#,
            series,
            count,
        )
        .fetch_one(tx)
        .await?
    };
    Ok((first..first + count).map(move |number| format!("{series}-{number:06}")))
}
