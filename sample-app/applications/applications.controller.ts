import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import {
  BadRequestException,
  Body,
  Controller,
  Get,
  HttpStatus,
  Param,
  Post,
  Query,
  Res,
  UseInterceptors,
} from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiConflictResponse, ApiHeader, ApiNotFoundResponse, ApiOperation } from '@nestjs/swagger';
import { ReadYourWrites } from 'nest-event-store';
import { ifMatch } from '../http/entity-tag.ts';
import { RequestHeader } from '../http/request-header.decorator.ts';
import { ChangesApplication, ShowsApplication } from './applications.openapi.ts';
import {
  applicationId,
  type ApplicationStep,
  applicationStep,
  type HistoryPage,
  historyPage,
  idempotencyKey,
  type NewOffer,
  newOffer,
  type OfferStep,
  offerStep,
  type Submission,
  submission,
  workItemKind,
  workItemStep,
} from './applications.schemas.ts';
import type { VersionedApplication } from './commands/application.command.ts';
import { CreateOffer } from './commands/create-offer.ts';
import { MoveApplication } from './commands/move-application.ts';
import { MoveWorkItem } from './commands/move-work-item.ts';
import { SubmitApplication } from './commands/submit-application.ts';
import {
  type ApplicationHistoryEntry,
  GetApplicationEvents,
} from './queries/get-application-events.ts';
import { GetApplication } from './queries/get-application.ts';
import type { WorkItemKind, WorkItemStep } from './work-items.ts';

@Controller('applications')
@UseInterceptors(ReadYourWrites(['application-report', 'letters']))
export class ApplicationsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post()
  @ShowsApplication('Submit an application', HttpStatus.CREATED)
  @ApiConflictResponse({ description: 'The Idempotency-Key came with another submission before' })
  @ApiHeader({
    name: 'Idempotency-Key',
    required: false,
    description: 'A UUID: the same request again is recorded once and answered alike',
  })
  async submit(
    @Body({ schema: submission }) { amount, submittedAt }: Submission,
    @RequestHeader('Idempotency-Key', { schema: idempotencyKey }) key: string | undefined,
    @Res({ passthrough: true }) response: ServerResponse,
  ): Promise<VersionedApplication> {
    if (key && !submittedAt) {
      throw new BadRequestException('Idempotency-Key needs submittedAt: the request must not vary');
    }
    const id = key ?? randomUUID();
    const submitted = await this.commands.execute(
      new SubmitApplication(id, amount, { at: submittedAt, eventId: key }),
    );
    response.setHeader('Location', `/applications/${id}`);
    return submitted;
  }

  @Get(':id')
  @ShowsApplication('Show an application')
  @ApiNotFoundResponse({ description: 'There is no such application' })
  show(@Param('id', { schema: applicationId }) id: string): Promise<VersionedApplication> {
    return this.queries.execute(new GetApplication(id));
  }

  @Get(':id/events')
  @ApiOperation({ summary: 'Show what happened to an application' })
  @ApiNotFoundResponse({ description: 'There is no such application' })
  history(
    @Param('id', { schema: applicationId }) id: string,
    @Query({ schema: historyPage }) page: HistoryPage,
  ): Promise<ApplicationHistoryEntry[]> {
    return this.queries.execute(new GetApplicationEvents(id, page));
  }

  @Post(':id/:step')
  @ChangesApplication('Move an application on')
  move(
    @Param('id', { schema: applicationId }) id: string,
    @Param('step', { schema: applicationStep }) step: ApplicationStep,
    @RequestHeader('If-Match', { schema: ifMatch }) expectedVersion: number | undefined,
  ): Promise<VersionedApplication> {
    return this.commands.execute(new MoveApplication(id, step, { expectedVersion }));
  }

  @Post(':id/offers/create')
  @ChangesApplication('Write the selected offer of an application')
  @ApiConflictResponse({
    description: 'The number is taken, or the application is at another version than If-Match',
  })
  createOffer(
    @Param('id', { schema: applicationId }) id: string,
    @Body({ schema: newOffer }) offer: NewOffer,
    @RequestHeader('If-Match', { schema: ifMatch }) expectedVersion: number | undefined,
  ): Promise<VersionedApplication> {
    return this.commands.execute(new CreateOffer(id, { number: offer?.number, expectedVersion }));
  }

  @Post(':id/offers/:step')
  @ChangesApplication('Move the offer of an application on')
  moveOffer(
    @Param('id', { schema: applicationId }) id: string,
    @Param('step', { schema: offerStep }) step: OfferStep,
    @RequestHeader('If-Match', { schema: ifMatch }) expectedVersion: number | undefined,
  ): Promise<VersionedApplication> {
    return this.commands.execute(new MoveApplication(id, `offers/${step}`, { expectedVersion }));
  }

  @Post(':id/work-items/:kind/:step')
  @ChangesApplication('Schedule, start or complete a work item')
  moveWorkItem(
    @Param('id', { schema: applicationId }) id: string,
    @Param('kind', { schema: workItemKind }) kind: WorkItemKind,
    @Param('step', { schema: workItemStep }) step: WorkItemStep,
    @RequestHeader('If-Match', { schema: ifMatch }) expectedVersion: number | undefined,
  ): Promise<VersionedApplication> {
    return this.commands.execute(new MoveWorkItem(id, step, kind, { expectedVersion }));
  }
}
