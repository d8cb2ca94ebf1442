/** The fields of an error of the driver, or of a TypeORM error that wraps it. */
interface Refusal {
  readonly message?: string;
  readonly code?: unknown;
  readonly constraint?: unknown;
  readonly table?: unknown;
  readonly column?: unknown;
  readonly dataType?: unknown;
}

// SQLSTATE classes whose messages quote names of the schema, roles and settings, but no data.
const quotesNames = /^(08|25|28|3D|3F|40|42|53|55|57|58)/;
const syntaxError = '42601';
const quotes = '"\'«»„“”‚‘’‹›';
const quotation = new RegExp(`[${quotes}].*[${quotes}]`, 's');

/**
 * Returns the message of an error; if PostgreSQL raised it, without the values that it quotes.
 *
 * PostgreSQL quotes the data that it refuses, such as `invalid input syntax for type integer: "…"`,
 * in the language and with the quotation marks of the server. Only names that the error also has in a
 * field of its own stay quoted: constraint, table, column and type.
 */
export function messageWithoutValues(error: Refusal): string {
  const { message = '', code, constraint, table, column, dataType } = error;
  if (typeof code !== 'string' || !isSqlState(code)) return message;
  if (quotesNames.test(code) && code !== syntaxError) return message;
  const names = [constraint, table, column, dataType].filter((name) => typeof name === 'string');
  // From the first quotation mark to the last, because a value may contain quotation marks.
  const kept = names.map((name) => [`"${name}"`, `\0${names.indexOf(name)}\0`] as const);
  let text = message;
  for (const [quoted, mark] of kept) text = text.replaceAll(quoted, mark);
  text = text.replace(quotation, '"…"');
  for (const [quoted, mark] of kept) text = text.replaceAll(mark, quoted);
  return text;
}

const isSqlState = (code: string): boolean => /^(?=.*\d)[0-9A-Z]{5}$/.test(code);
