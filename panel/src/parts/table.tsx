import type { ComponentChildren, JSX } from "preact";

export interface Column<Row> {
  title: string;
  cell: (row: Row) => ComponentChildren;
  /** Numbers stand at the right, one below the other. */
  number?: boolean;
  /** The cell that names its row. */
  head?: boolean;
}

interface Props<Row> {
  /** What the table shows, for screen readers. */
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string | number;
}

/** A table that becomes a list of cards where the window is narrow; the roles keep it a table for
 * screen readers there. */
export function Table<Row>({ caption, columns, rows, rowKey }: Props<Row>): JSX.Element {
  return (
    <table role="table">
      <caption class="unseen">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((column) => (
            <th
              key={column.title}
              role="columnheader"
              scope="col"
              class={column.number ? "number" : ""}
            >
              {column.title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={rowKey(row)} role="row">
            {columns.map((column) => cell(column, row))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function cell<Row>(column: Column<Row>, row: Row): JSX.Element {
  const shown = {
    key: column.title,
    class: column.number ? "number" : "",
    "data-title": column.title,
  };
  if (column.head)
    return (
      <th {...shown} role="rowheader" scope="row">
        <div>{column.cell(row)}</div>
      </th>
    );
  return (
    <td {...shown} role="cell">
      <div>{column.cell(row)}</div>
    </td>
  );
}
