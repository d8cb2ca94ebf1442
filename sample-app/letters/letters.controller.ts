import { Controller, Get, Param, UseInterceptors } from '@nestjs/common';
import { ApiOperation } from '@nestjs/swagger';
import { ReadYourWrites } from 'nest-event-store';
import { applicationId } from '../applications/applications.schemas.ts';
import { type Letter, Letters } from './letters.ts';

@Controller('applications/:id/letters')
@UseInterceptors(ReadYourWrites(['letters']))
export class LettersController {
  constructor(private readonly letters: Letters) {}

  @Get()
  @ApiOperation({ summary: 'Show what was written to an applicant' })
  show(@Param('id', { schema: applicationId }) id: string): Promise<Letter[]> {
    return this.letters.of(id);
  }
}
