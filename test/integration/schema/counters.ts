import { Counted } from '../../support/store.ts';

export const schema = 'event_store';

export const counter = (id: string) => ({ type: 'counter', id });
export const counted = (...by: number[]): Counted[] => by.map((each) => new Counted(each));
