// On a narrow screen the cells of a row stand below one another; each then tells the head of its column, by site.css.
for (const table of document.querySelectorAll("table.docutils")) {
  if (!table.tHead) continue;
  const heads = [];
  for (const row of table.tHead.rows) {
    let column = 0;
    for (const cell of row.cells) {
      for (let spanned = 0; spanned < cell.colSpan; spanned++, column++) {
        heads[column] = [heads[column], cell.textContent.trim()].filter(Boolean).join(", ");
      }
    }
  }
  for (const row of table.tBodies[0].rows) {
    [...row.cells].forEach((cell, column) => { if (column && heads[column]) cell.dataset.head = heads[column]; });
  }
}
