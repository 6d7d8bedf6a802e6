use crate::{checkout::Checkout, running::Where};

/// Start the seven services, with a private Postgres and NATS unless others are given, until Ctrl-C.
pub(crate) fn run(checkout: &Checkout, place: &Where) -> anyhow::Result<()> {
    let mut running = place.start(checkout)?;
    println!("\nBramble is up:\n{}\n\nCtrl-C stops all of it; the data stay.", running.describe());
    let stayed = running.stay(checkout);
    running.stop().and(stayed)
}
