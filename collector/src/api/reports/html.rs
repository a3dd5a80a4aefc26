//! A report as one page: for telephones, desks and paper, by day and by night.
//!
//! Owns its look. No script, no picture, nothing that is loaded; every text is escaped. On a narrow screen a table with
//! more than one column of words becomes a list of its rows.

use std::fmt::Write as _;

use watchkeeper_collector_core::report::{Block, Cell, Column, Document, Table, Tone};

use super::super::pages::escape;

const SHEET: &str = "\
:root{color-scheme:light dark;--ink:#1f2933;--dim:#5f6b76;--line:#dde2e7;--soft:#f4f6f8;--good:#1b6e3c;--bad:#b00020;\
--note:#fff6dd;--edge:#e0a800;--page:#fff}\
@media (prefers-color-scheme:dark){:root{--ink:#e3e7eb;--dim:#9ba7b3;--line:#333c45;--soft:#1f262d;--good:#6fcf97;\
--bad:#ff7b87;--note:#3a2f12;--edge:#8a6d1a;--page:#14181c}}\
*{box-sizing:border-box}\
body{margin:0 auto;max-width:62rem;padding:1.5rem 1rem 3rem;background:var(--page);color:var(--ink);\
font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;overflow-wrap:anywhere}\
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .75rem}\
h2{font-size:1.3rem;margin:2.25rem 0 .6rem;padding-top:.6rem;border-top:3px solid var(--line)}\
h3{font-size:1.1rem;margin:1.75rem 0 .5rem}\
p{margin:.6rem 0;color:var(--dim)}\
.note{color:var(--ink);background:var(--note);border-left:4px solid var(--edge);padding:.5rem .75rem}\
.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}.strong{font-weight:600}\
dl{display:grid;grid-template-columns:minmax(9rem,13rem) 1fr;gap:.25rem 1rem;margin:.75rem 0 1.25rem}\
dt{color:var(--dim)}dd{margin:0}\
table{border-collapse:collapse;width:100%;margin:.75rem 0 1.25rem;font-size:.94rem}\
caption{text-align:left;color:var(--dim);padding:0 0 .35rem;font-size:.9rem}\
th,td{text-align:left;vertical-align:top;padding:.35rem .9rem .35rem 0;border-bottom:1px solid var(--line)}\
th{font-weight:600;white-space:nowrap}\
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
th:last-child,td:last-child{padding-right:0}\
@media screen and (max-width:40rem){\
body{padding:1rem .75rem 2rem}\
dl{grid-template-columns:1fr;gap:0}dd{margin:0 0 .5rem}\
th,td{padding-right:.5rem}\
table.wide,.wide tbody,.wide tr,.wide td{display:block}\
.wide caption{display:block}.wide thead{display:none}\
.wide tr{border:1px solid var(--line);border-radius:6px;padding:.4rem .75rem;margin:0 0 .6rem}\
.wide td{display:grid;grid-template-columns:6.5rem 1fr;gap:.75rem;border:0;padding:.12rem 0;text-align:left;white-space:normal}\
.wide td::before{content:attr(data-name);color:var(--dim);font-weight:400}}\
@page{size:A4;margin:16mm 14mm}\
@media print{:root{--ink:#000;--dim:#444;--line:#bbb;--soft:#fff;--good:#1b6e3c;--bad:#b00020;--note:#fff;--page:#fff}\
body{font-size:10.5pt;max-width:none;padding:0}h2,h3,caption{break-after:avoid}tr,dl,.note{break-inside:avoid}\
thead{display:table-header-group}}";

/// The page.
pub(super) fn page(document: &Document) -> String {
    let title = escape(&document.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>{SHEET}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    document.blocks.iter().for_each(|block| write_block(block, &mut out));
    out.push_str("</body>\n</html>\n");
    out
}

fn write_block(block: &Block, out: &mut String) {
    let _ = match block {
        Block::Heading(level, text) => {
            writeln!(out, "<h{level}>{}</h{level}>", escape(text))
        }
        Block::Text(text) => writeln!(out, "<p>{}</p>", escape(text)),
        Block::Note(text) => writeln!(out, "<p class=\"note\">{}</p>", escape(text)),
        Block::Facts(facts) => {
            out.push_str("<dl>\n");
            for (name, cell) in facts {
                let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", escape(name), of_cell(cell));
            }
            writeln!(out, "</dl>")
        }
        Block::Table(table) => {
            write_table(table, out);
            Ok(())
        }
    };
}

fn of_cell(cell: &Cell) -> String {
    let text = escape(&cell.text);
    match cell.tone {
        Tone::Plain => text,
        Tone::Good => format!("<span class=\"good\">{text}</span>"),
        Tone::Bad => format!("<span class=\"bad\">{text}</span>"),
        Tone::Strong => format!("<span class=\"strong\">{text}</span>"),
    }
}

fn write_table(table: &Table, out: &mut String) {
    let n_words = table.columns.iter().filter(|column| !column.is_number).count();
    let class = if n_words > 1 { " class=\"wide\"" } else { "" };
    let _ =
        write!(out, "<table{class}>\n<caption>{}</caption>\n<thead><tr>", escape(&table.caption));
    let number = |column: &Column| if column.is_number { " class=\"n\"" } else { "" };
    for column in &table.columns {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", number(column), escape(column.name));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (column, cell) in table.columns.iter().zip(row) {
            let (class, name) = (number(column), escape(column.name));
            let _ = write!(out, "<td{class} data-name=\"{name}\">{}</td>", of_cell(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}
