import ts from 'typescript';

/** One small change of a file that a test ought to notice. */
export interface Mutant {
  readonly line: number;
  readonly start: number;
  readonly end: number;
  readonly original: string;
  readonly replacement: string;
}

const operators = new Map<ts.SyntaxKind, string>([
  [ts.SyntaxKind.LessThanToken, '<='],
  [ts.SyntaxKind.LessThanEqualsToken, '<'],
  [ts.SyntaxKind.GreaterThanToken, '>='],
  [ts.SyntaxKind.GreaterThanEqualsToken, '>'],
  [ts.SyntaxKind.EqualsEqualsEqualsToken, '!=='],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, '==='],
  [ts.SyntaxKind.AmpersandAmpersandToken, '||'],
  [ts.SyntaxKind.BarBarToken, '&&'],
  [ts.SyntaxKind.PlusToken, '-'],
  [ts.SyntaxKind.MinusToken, '+'],
]);

/** What to change in the text of SQL, line by line; `--` comments are left alone. */
const sqlChanges: readonly (readonly [RegExp, string])[] = [
  [/<=/, '<'],
  [/(?<![<>-])>(?![=>])/, '>='],
  [/ <> /, ' = '],
  [/ FOR (NO KEY )?UPDATE( OF \w+)?( SKIP LOCKED)?/, ''],
  [/ FOR (KEY )?SHARE/, ''],
  [/ SKIP LOCKED/, ''],
  [/ \+ 1\b/, ''],
  [/^(\s*)AND .*?(?=,?$)/, '$1'],
  [/^(\s*)WHERE /, '$1WHERE true OR '],
  [/^(\s*(?:ELS)?IF) .* THEN/, '$1 true THEN'],
  [/^(\s*(?:ELS)?IF) .* THEN/, '$1 false THEN'],
  [/_shared\(/, '('],
  [/\bgreatest\(/, 'least('],
  [/\bmin\(/, 'max('],
  [/\bNOT EXISTS\b/, 'EXISTS'],
];

/**
 * Returns the mutants of a file: conditions that are always or never true, other operators, calls that
 * are left out, and, in templates of SQL, bounds, locks and conditions that are changed or left out.
 */
export function mutantsOf(fileName: string, text: string): Mutant[] {
  const source = ts.createSourceFile(fileName, text, ts.ScriptTarget.ES2023, true);
  const found: Mutant[] = [];
  const add = (start: number, end: number, replacement: string): void => {
    const line = source.getLineAndCharacterOfPosition(start).line + 1;
    found.push({ line, start, end, original: text.slice(start, end), replacement });
  };
  const replace = (node: ts.Node, replacement: string): void =>
    add(node.getStart(source), node.end, replacement);

  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || isMessage(node)) return;
    if (ts.isIfStatement(node) || ts.isConditionalExpression(node)) {
      const condition = ts.isIfStatement(node) ? node.expression : node.condition;
      // As expressions that keep what they narrow, so that only their value changes.
      replace(condition, `(${condition.getText(source)}, true)`);
      replace(condition, `(${condition.getText(source)}, false)`);
    }
    if (ts.isBinaryExpression(node)) {
      const operator = operators.get(node.operatorToken.kind);
      if (operator && !isText(node)) replace(node.operatorToken, operator);
    }
    if (ts.isExpressionStatement(node) && isCallOrChange(node.expression)) replace(node, ';');
    if (ts.isTemplateLiteral(node)) addSql(node);
    ts.forEachChild(node, visit);
  };

  const addSql = (node: ts.Node): void => {
    let offset = node.getStart(source);
    for (const line of node.getText(source).split('\n')) {
      const code = line.replace(/--.*/, '').replace(/`[;,)]*$/, '');
      for (const [pattern, replacement] of sqlChanges) {
        const match = pattern.exec(code);
        // Without the first line of a longer clause the SQL would be invalid, so it stays.
        if (!match || !isWhole(match[0]) || !/[A-Z]{2}|[<>=]/.test(code)) continue;
        const changed = match[0].replace(pattern, replacement);
        add(offset + match.index, offset + match.index + match[0].length, changed);
      }
      offset += line.length + 1;
    }
  };
  visit(source);
  // A template inside of another one is found with both.
  return [...new Map(found.map((each) => [JSON.stringify(each), each])).values()];
}

/** Whether it closes every bracket it opens, apart from a call at its end, such as `greatest(`. */
function isWhole(sql: string): boolean {
  const count = (bracket: string): number => sql.split(bracket).length;
  return /^\w+\($/.test(sql) || (count('(') === count(')') && count('{') === count('}'));
}

/** Messages of errors and log lines are not mutated. */
const isMessage = (node: ts.Node): boolean =>
  ts.isNewExpression(node) && node.expression.getText().endsWith('Error');

const isText = ({ left, right }: ts.BinaryExpression): boolean =>
  [left, right].some((side) => ts.isStringLiteralLike(side) || ts.isTemplateExpression(side));

function isCallOrChange(expression: ts.Expression): boolean {
  if (ts.isAwaitExpression(expression)) return isCallOrChange(expression.expression);
  if (ts.isBinaryExpression(expression)) {
    return expression.operatorToken.kind === ts.SyntaxKind.EqualsToken || isCompound(expression);
  }
  return ts.isCallExpression(expression) && !/super|warn|error|log\b/.test(expression.getText());
}

const isCompound = ({ operatorToken }: ts.BinaryExpression): boolean =>
  operatorToken.kind === ts.SyntaxKind.PlusEqualsToken ||
  operatorToken.kind === ts.SyntaxKind.MinusEqualsToken;
