import type { Counts } from './counts.ts';

/** The published counts of the full log of the BPI Challenge 2012. */
export const knownLog: Counts = {
  applications: 13_087,
  amount: 177_634_511,
  events: 262_200,
  'loan-application.submitted': 13_087,
  'loan-application.partly-submitted': 13_087,
  'loan-application.preaccepted': 7_367,
  'loan-application.accepted': 5_113,
  'loan-application.finalized': 5_015,
  'loan-application.approved': 2_246,
  'loan-application.registered': 2_246,
  'loan-application.activated': 2_246,
  'loan-application.declined': 7_635,
  'loan-application.cancelled': 2_807,
  'offer.selected': 7_030,
  'offer.created': 7_030,
  'offer.sent': 7_030,
  'offer.sent-back': 3_454,
  'offer.cancelled': 3_655,
  'offer.accepted': 2_243,
  'offer.declined': 802,
  'work-item.scheduled': 26_318,
  'work-item.started': 71_376,
  'work-item.completed': 72_413,
};
