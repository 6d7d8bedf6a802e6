//! Files of every kind: malformed ones, grouping, and what is written back.

use std::{fs, io::Write, path::PathBuf};

use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

use crate::import::{
    check::Check,
    groups::Groups,
    refused::Refused,
    source::{Row, Source},
    tests::rows,
};

const COLUMNS: [&str; 2] = ["sku", "qty"];

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, contents: &[u8]) -> PathBuf {
        let path = self.0.path().join("stock.csv");
        fs::write(&path, contents).unwrap();
        path
    }

    fn open(&self, contents: &[u8]) -> anyhow::Result<Source> {
        Source::open(&self.file(contents), &COLUMNS)
    }

    fn rows(&self, contents: &[u8]) -> Vec<Row> {
        self.open(contents).unwrap().collect::<Result<_, _>>().unwrap()
    }
}

fn gzip(contents: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(contents).unwrap();
    gzip.finish().unwrap()
}

fn shown(rows: &[Row]) -> Vec<(u64, &str, &str)> {
    rows.iter().map(|row| (row.line, row.get("sku"), row.get("qty"))).collect()
}

#[test]
fn columns_are_found_by_name_in_plain_and_compressed_files() {
    let folder = Folder::new();
    let plain = b"qty,extra,sku\n1,x,P1\n2,\"two\nlines\",P2\n3,x,P3\n";
    let expected = [(2, "P1", "1"), (3, "P2", "2"), (5, "P3", "3")];
    assert_eq!(shown(&folder.rows(plain)), expected);
    assert_eq!(shown(&folder.rows(&gzip(plain))), expected);
    let members = [gzip(&plain[..20]), gzip(&plain[20..])].concat();
    assert_eq!(shown(&folder.rows(&members)), expected);
    let windows = b"\xef\xbb\xbfsku,qty\r\nP1,1\r\nP2,2\r\n\r\n";
    assert_eq!(shown(&folder.rows(windows)), [(2, "P1", "1"), (3, "P2", "2")]);
    assert_eq!(shown(&folder.rows(b"sku,qty")), []);
}

#[test]
fn a_file_without_its_columns_is_not_begun() {
    let folder = Folder::new();
    let refusal = |contents: &[u8]| format!("{:#}", folder.open(contents).err().unwrap());
    assert!(refusal(b"sku;qty\nP1;1\n").ends_with("missing: sku, qty; found: sku;qty"));
    assert!(refusal(b"SKU,qty\n").ends_with("missing: sku; found: SKU, qty"));
    assert!(refusal(b"sku, qty\n").ends_with("missing: qty; found: sku,  qty"));
    assert!(refusal(b"").contains("missing: sku, qty"));
    assert!(refusal(b"sku,qty,sku\n").contains("\"sku\" is there twice"));
    assert!(refusal(b"sku,q\xffty\n").contains("not UTF-8"));
    assert!(refusal(b"\x1f\x8bnot really compressed").contains("cannot read"));
    let missing = Source::open(&folder.0.path().join("none.csv"), &COLUMNS).err().unwrap();
    assert!(format!("{missing:#}").contains("none.csv"));
}

#[test]
fn a_broken_row_spoils_no_other() {
    let folder = Folder::new();
    let rows = folder.rows(b"sku,qty\nP1\nP2,2,2\nP\xff3,3\nP4,4\n,,\"\"\n");
    let faults: Vec<_> = rows.iter().map(|row| row.fault.as_deref()).collect();
    let expected = [
        Some("has 1 fields: 2 are needed"),
        Some("has 3 fields: 2 are needed"),
        Some("sku is not UTF-8 text"),
        None,
        Some("has 3 fields: 2 are needed"),
    ];
    assert_eq!(faults, expected);
    assert_eq!(rows[3].line, 5);
}

#[test]
fn a_file_that_breaks_off_is_an_error_and_no_end() {
    let folder = Folder::new();
    let rows = |contents: &[u8]| folder.open(contents).unwrap().collect::<Vec<_>>();
    let text: String = (0..30_000).map(|row| format!("P{row},{}\n", row * 7 % 1000)).collect();
    let whole = gzip(format!("sku,qty\n{text}").as_bytes());
    let half = rows(&whole[..whole.len() / 2]);
    let error = format!("{:#}", half.last().unwrap().as_ref().err().unwrap());
    assert!(error.contains("stock.csv cannot be read beyond line "), "{error}");
    assert!(half.len() > 100 && half.iter().rev().skip(1).all(Result::is_ok));

    let open_quote = format!("sku,qty\nP1,1\n\"P2,2\n{text}{text}{text}{text}{text}");
    let rows = rows(open_quote.as_bytes());
    let error = format!("{:#}", rows[1].as_ref().err().unwrap());
    assert!(error.contains("beyond line 3") && error.contains("quote"), "{error}");
    assert_eq!(rows.len(), 2);
}

#[test]
fn each_bad_field_is_told_with_column_and_value() {
    let folder = Folder::new();
    let whys = |fields: &str| {
        let rows = folder.rows(format!("sku,qty\n{fields}\n").as_bytes());
        let mut check = Check::new(&rows[0]);
        check.sku("sku");
        check.whole("qty", 1, 100);
        check.done().join("; ")
    };
    assert_eq!(whys("P1,100"), "");
    assert_eq!(whys("P1,0"), "qty \"0\" is 0: 1 to 100 are possible");
    assert_eq!(whys("P1,-5"), "qty \"-5\" is -5: 1 to 100 are possible");
    assert_eq!(
        whys("P1,99999999999999"),
        "qty \"99999999999999\" is 99999999999999: 1 to 100 are possible"
    );
    assert_eq!(whys("P1,1.0"), "qty \"1.0\" is not a whole number");
    assert_eq!(whys("P1,"), "qty is required");
    let two =
        "sku \"P 1\" may hold letters, digits, and . _ - / only; qty \"x\" is not a whole number";
    assert_eq!(whys("P 1,x"), two);
    assert!(whys(&format!("{},1", "P".repeat(65))).contains("has 65 characters"));
}

#[test]
fn prices_and_times_are_read_strictly() {
    let folder = Folder::new();
    let read = |price: &str, time: &str| {
        let rows = folder.rows(format!("sku,qty\n{price},{time}\n").as_bytes());
        let mut check = Check::new(&rows[0]);
        let (price, time) = (check.price("sku").amount, check.time("qty"));
        let whys = check.done().join("; ");
        if whys.is_empty() { Ok((price, time.unwrap().seconds)) } else { Err(whys) }
    };
    let at = 1_483_950_600;
    assert_eq!(read("0.5", "2017-01-09T08:30:00Z"), Ok(("0.50".to_owned(), at)));
    assert_eq!(read("7", "2017-01-09T09:30:00.5+01:00"), Ok(("7.00".to_owned(), at)));
    for bad in ["", "1,5", "\"1,5\"", "1.005", "-1", "1e3", "£1", "10000000000", "99999999999999"]
    {
        assert!(read(bad, "2017-01-09T08:30:00Z").is_err(), "{bad}");
    }
    for bad in ["", "2017-01-09", "2017-01-09 08:30", "2017-01-09T08:30:00", "2017-02-30T08:30:00Z"]
    {
        assert!(read("1", bad).unwrap_err().starts_with("qty "), "{bad}");
    }
}

#[test]
fn the_lines_of_an_order_are_put_together() {
    let folder = Folder::new();
    let path = folder.file(b"order_ref,n\nA,1\nA,2\nB,3\nA,4\nC,5\n");
    let groups = Groups::new(Source::open(&path, &["order_ref"]).unwrap());
    let groups: Vec<_> = groups.map(Result::unwrap).collect();
    let shown: Vec<_> = groups
        .iter()
        .map(|group| (group.rows.iter().map(|row| row.line).collect::<Vec<_>>(), group.earlier))
        .collect();
    assert_eq!(shown, [(vec![2, 3], None), (vec![4], None), (vec![5], Some(2)), (vec![6], None)]);
    assert_eq!(groups[0].request_id, groups[2].request_id);
    assert_ne!(groups[0].request_id, groups[1].request_id);
    // Whoever imports the same order from another file, or with a later version, must be recognised.
    assert_eq!(groups[0].request_id.to_string(), "1ac147a3-c2c5-5281-bf14-75a9ffe0ecb7");
}

#[test]
fn an_order_is_not_taken_for_whole_when_the_file_breaks_off_in_it() {
    let folder = Folder::new();
    let rows = folder.rows(b"sku,order_ref,qty\n1,A,\n2,B,\n3,B,\n").into_iter().map(Ok);
    let broken = rows.chain([Err(anyhow::anyhow!("broken"))]);
    let groups: Vec<_> = Groups::new(broken).collect();
    assert_eq!(groups.len(), 2);
    assert_eq!(groups[0].as_ref().unwrap().rows.len(), 1);
    assert!(groups[1].is_err());
}

#[test]
fn refused_rows_can_be_read_again_as_they_were() {
    let folder = Folder::new();
    let contents =
        b"sku,reason,note,qty\nP1,old,\"a \"\"b\"\", c\",1\nP2,,\"two\nlines\",2\nP\xff,,,3\nP4\n";
    let source = folder.open(contents).unwrap();
    let dir = folder.0.path().join("new/refused");
    let mut refused = Refused::new(&dir, "stock", source.header(), &[]);
    for row in source {
        refused.write(&row.unwrap(), "why; oh, why").unwrap();
    }
    assert!(!dir.join("stock.csv").exists(), "it appears at the end");
    let path = refused.finish().unwrap().unwrap();
    assert_eq!(path, dir.join("stock.csv"));
    let text = fs::read(&path).unwrap();
    let expected = b"sku,note,qty,reason\nP1,\"a \"\"b\"\", c\",1,\"why; oh, why\"\nP2,\"two\nlines\",2,\"why; oh, why\"\nP\xff,,3,\"why; oh, why\"\nP4,,,\"why; oh, why\"\n";
    assert_eq!(String::from_utf8_lossy(&text), String::from_utf8_lossy(expected));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);

    // Imported again, it is not written over while it is read.
    fs::write(&path, "sku,qty,reason\nP1,0,why\n").unwrap();
    let source = Source::open(&path, &COLUMNS).unwrap();
    let inputs = [fs::canonicalize(&path).unwrap()];
    let mut refused = Refused::new(&dir, "stock", source.header(), &inputs);
    for row in source {
        refused.write(&row.unwrap(), "still").unwrap();
    }
    let second = refused.finish().unwrap().unwrap();
    assert_eq!(second, dir.join("stock-refused.csv"));
    assert_eq!(rows(&second)[0]["reason"], "still");
    assert_eq!(rows(&path)[0]["reason"], "why");
}

#[test]
fn nothing_is_written_when_nothing_is_refused() {
    let folder = Folder::new();
    let source = folder.open(b"sku,qty\nP1,1\n").unwrap();
    let dir = folder.0.path().join("refused");
    let refused = Refused::new(&dir, "stock", source.header(), &[]);
    assert_eq!(refused.finish().unwrap(), None);
    assert!(!dir.exists());
}
