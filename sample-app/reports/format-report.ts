import type { Report } from './report.ts';

const number = new Intl.NumberFormat('en');

/** Returns the report as lines for a terminal. */
export function formatReport(report: Report): string {
  if (report.applications === 0) return 'There are no applications yet.';
  const states = Object.entries(report.statesReached).map(
    ([state, { applications, amount }]) =>
      `  ${state.padEnd(18)}${number.format(applications).padStart(10)}${number.format(amount).padStart(16)} €`,
  );
  const others = Object.entries(report.eventsByType)
    .filter(([type]) => !type.startsWith('loan-application.'))
    .map(([type, count]) => `  ${type.padEnd(24)}${number.format(count).padStart(10)}`);
  const hours = report.meanHoursToApproval;
  return [
    `${number.format(report.applications)} applications, ${number.format(report.events)} events, ` +
      `${number.format(report.amountRequested)} € requested`,
    `  ${'state reached'.padEnd(18)}${'applications'.padStart(10)}${'amount'.padStart(16)}`,
    ...states,
    ...others,
    hours === null
      ? 'Nothing is approved yet.'
      : `From submission to approval: ${number.format(hours / 24)} days in the mean.`,
  ].join('\n');
}
