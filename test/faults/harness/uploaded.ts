import { DomainEvent } from '../../../lib/events/domain-event.decorator.ts';

@DomainEvent('file.uploaded')
export class Uploaded {
  constructor(readonly content: string) {}
}
