import {
  Body,
  Controller,
  Get,
  Headers,
  Post,
  Res,
  UseInterceptors,
  type INestApplication,
} from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { Test } from '@nestjs/testing';
import type { DataSource } from 'typeorm';
import {
  DomainEvent,
  EventStore,
  EventStoreModule,
  On,
  Projection,
  ReadYourWrites,
} from 'nest-event-store';
import { eventually } from '../support/eventually.ts';
import { typeOrm } from './start-application.ts';

@DomainEvent('note.taken')
export class NoteTaken {
  constructor(readonly text: string) {}
}

/** Notes in memory, which lag while the gate is shut. */
@Projection('notes')
export class NoteList {
  readonly texts: string[] = [];
  readonly #atGate = new Set<string>();
  #gate = Promise.resolve();

  /** Lets nothing through until the returned function is called. */
  shut(): () => void {
    let open!: () => void;
    this.#gate = new Promise((resolve) => (open = resolve));
    return open;
  }

  async reached(text: string): Promise<void> {
    await eventually(() => this.#atGate.has(text));
  }

  @On(NoteTaken)
  async taken({ text }: NoteTaken): Promise<void> {
    this.#atGate.add(text);
    await this.#gate;
    this.texts.push(text);
  }
}

@Projection('audit')
class Audit {
  @On(NoteTaken)
  taken(): void {}
}

interface AnswerLike {
  status(code: number): this;
  json(body: object): void;
}

@UseInterceptors(ReadYourWrites(['notes', 'audit']))
@Controller('notes')
class NotesController {
  constructor(
    readonly store: EventStore,
    readonly list: NoteList,
  ) {}

  @Get()
  all(): object {
    return { texts: this.list.texts };
  }

  @Post()
  async take(@Body('texts') texts: string[]): Promise<object> {
    for (const text of texts) {
      await this.store.append({ type: 'note', id: text }, [new NoteTaken(text)]);
    }
    return { taken: texts.length };
  }

  @Post('passthrough')
  async passthrough(
    @Body('texts') texts: string[],
    @Res({ passthrough: true }) response: AnswerLike,
  ): Promise<object> {
    response.status(202);
    return this.take(texts);
  }

  @Post('by-hand')
  async byHand(@Body('texts') texts: string[], @Res() response: AnswerLike): Promise<void> {
    response.json(await this.take(texts));
  }

  @Post('faulty')
  async faulty(): Promise<void> {
    await this.take(['faulty']);
    throw new Error('thrown on purpose');
  }
}

@Controller('other')
class OtherController {
  @Get()
  @UseInterceptors(ReadYourWrites(['none'], { store: 'second' }))
  named(): void {}

  @Get('unknown')
  @UseInterceptors(ReadYourWrites(['nots']))
  unknown(@Headers('prefer') prefer?: string): object {
    return { prefer };
  }
}

/** Starts an application with two stores and slow readers; calls `onError` for what is logged as an error. */
export async function startNotes(
  dataSource: DataSource,
  onError: (error: unknown) => void = () => undefined,
): Promise<INestApplication> {
  const module = await Test.createTestingModule({
    imports: [
      typeOrm(dataSource),
      CqrsModule.forRoot(),
      EventStoreModule.forRoot(),
      EventStoreModule.forRoot({ store: 'second', schema: 'second' }),
      EventStoreModule.forFeature({ events: [NoteTaken] }),
    ],
    controllers: [NotesController, OtherController],
    providers: [NoteList, Audit],
  }).compile();
  const started = module.createNestApplication({
    logger: { log: () => undefined, warn: () => undefined, error: onError },
  });
  return started.init();
}
