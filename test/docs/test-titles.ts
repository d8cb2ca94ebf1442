import { readFile } from 'node:fs/promises';
import ts from 'typescript';

/**
 * Returns the titles of the tests in a file, as they are written there, with `…` for what is filled in.
 *
 * Leaves out `skip` and `todo` tests, and tests in comments.
 */
export async function titlesOf(file: string): Promise<Set<string>> {
  const source = ts.createSourceFile(file, await readFile(file, 'utf8'), ts.ScriptTarget.Latest);
  const titles = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && isTest(node.expression.getText(source))) {
      const title = node.arguments[0] && textOf(node.arguments[0]);
      if (title !== undefined) titles.add(title);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return titles;
}

const isTest = (callee: string): boolean =>
  /^(it|test)\b/.test(callee) && !/\.(skip|todo)\b/.test(callee);

function textOf(node: ts.Expression): string | undefined {
  if (ts.isStringLiteralLike(node)) return filledIn(node.text);
  if (!ts.isTemplateExpression(node)) return undefined;
  const rest = node.templateSpans.map(({ literal }) => `…${literal.text}`);
  return [node.head.text, ...rest].join('');
}

/** Jest fills in %s and the like, and $members of a row. */
const filledIn = (title: string): string => title.replaceAll(/%[a-zA-Z#]|\$[a-zA-Z.]+/g, '…');
