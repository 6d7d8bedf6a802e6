use std::io::IsTerminal;

use crate::{
    checkout::{Checkout, step},
    running::{Running, Where},
};

/// One day of the week that is imported.
const DAY: &str = "2017-01-14";

/// Start the stack, sell a week's groceries, and show what came of it. Stays up on a terminal, ends by itself elsewhere.
pub(crate) fn run(checkout: &Checkout, place: &Where) -> anyhow::Result<()> {
    let mut running = place.start(checkout)?;
    let shown = show(checkout, &running);
    let stayed = shown.and_then(|()| {
        println!("{}", how_to_go_on(&running));
        if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
            println!("\nBramble stays up until Ctrl-C; the data stay after that.");
            running.stay(checkout)
        } else {
            println!("\nThere is no terminal, so Bramble stops now; `cargo xtask up` goes on with the same data.");
            Ok(())
        }
    });
    running.stop().and(stayed)
}

fn show(checkout: &Checkout, running: &Running) -> anyhow::Result<()> {
    let week = checkout.root.join("tests/data/week");
    step("importing a week of real trade", || checkout.interrupt.run(&mut running.import(&week)?))?;
    let reports: [(&str, &[&str]); 4] = [
        ("Sales by hour", &["sales", "--day", DAY, "--wait-for-fresh"]),
        ("Trial balance", &["trial-balance"]),
        ("Low on stock", &["stock", "--low", "--limit", "10"]),
        ("What customers owe", &["ageing", "--wait-for-fresh"]),
    ];
    for (title, args) in reports {
        println!("\n{title}: bramble report {}", args.join(" "));
        checkout.interrupt.run(running.fleet.cli()?.arg("report").args(args))?;
    }
    Ok(())
}

fn how_to_go_on(running: &Running) -> String {
    let orders = running.fleet.address("orders-svc");
    format!(
        "
Where everything is:
{}

Try next (grpcurl and more in the README):
  {}/?day={DAY}
  grpcurl -plaintext {orders} list
  grpcurl -plaintext -d '{{\"page_size\": 3}}' {orders} bramble.orders.v1.OrdersService/ListOrders",
        running.describe(),
        running.fleet.dashboard()
    )
}
