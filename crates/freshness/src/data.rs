//! Orders as real customers made them.

use std::{
    collections::HashSet,
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use anyhow::Context;
use csv::{Reader, StringRecord};
use flate2::bufread::MultiGzDecoder;

/// Lines of one order: SKU and quantity.
pub(crate) type Basket = Vec<(String, i32)>;

/// Enough of them that they do not come again soon.
const BASKETS_MAX: usize = 5000;
const LINES_MAX: usize = 500;

/// The first orders of a folder that any shop would take.
pub(crate) fn baskets(folder: &Path) -> anyhow::Result<Vec<Basket>> {
    let mut known = HashSet::new();
    let mut products = open(folder, "products")?;
    let sku = column(&mut products, "sku")?;
    for row in products.records() {
        known.extend(row?.get(sku).map(str::to_owned));
    }
    let mut orders = open(folder, "orders")?;
    let columns = [
        column(&mut orders, "order_ref")?,
        column(&mut orders, "sku")?,
        column(&mut orders, "qty")?,
    ];
    let (mut baskets, mut basket, mut order) = (Vec::new(), Some(Basket::new()), String::new());
    for row in orders.records() {
        let row = row?;
        let [order_ref, sku, quantity] = columns.map(|column| row.get(column).unwrap_or_default());
        if order != order_ref {
            order_ref.clone_into(&mut order);
            baskets.extend(basket.replace(Basket::new()).filter(is_common));
            if baskets.len() == BASKETS_MAX {
                return Ok(baskets);
            }
        }
        // One bad line is a bad order.
        match quantity.parse() {
            Ok(quantity @ 1..) if known.contains(sku) => {
                basket = basket.map(|mut lines| {
                    lines.push((sku.to_owned(), quantity));
                    lines
                });
            }
            Ok(_) | Err(_) => basket = None,
        }
    }
    baskets.extend(basket.filter(is_common));
    Ok(baskets)
}

fn is_common(basket: &Basket) -> bool {
    (1..=LINES_MAX).contains(&basket.len())
}

fn open(folder: &Path, what: &str) -> anyhow::Result<Reader<Box<dyn Read>>> {
    let plain = folder.join(format!("{what}.csv"));
    if plain.exists() {
        return Ok(Reader::from_reader(Box::new(File::open(plain)?)));
    }
    let zipped = plain.with_extension("csv.gz");
    let file = File::open(&zipped).with_context(|| format!("no {}", zipped.display()))?;
    Ok(Reader::from_reader(Box::new(MultiGzDecoder::new(BufReader::new(file)))))
}

fn column(reader: &mut Reader<Box<dyn Read>>, name: &str) -> anyhow::Result<usize> {
    let names: &StringRecord = reader.headers()?;
    names.iter().position(|found| found == name).with_context(|| format!("no column {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_with_a_bad_line_is_left_out_whole() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("products.csv"), "sku,price\nTEA,1\nCUP,2\n").unwrap();
        let orders =
            "order_ref,sku,qty\n1,TEA,2\n1,CUP,1\n2,TEA,1\n2,POT,1\n3,TEA,0\n3,CUP,1\n4,CUP,3\n";
        std::fs::write(folder.path().join("orders.csv"), orders).unwrap();
        let line = |sku: &str, quantity| (sku.to_owned(), quantity);
        let expected = [vec![line("TEA", 2), line("CUP", 1)], vec![line("CUP", 3)]];
        assert_eq!(baskets(folder.path()).unwrap(), expected);
    }
}
