import { Module } from '@nestjs/common';
import { LetterWriter } from './letter-writer.ts';
import { LettersController } from './letters.controller.ts';
import { Letters } from './letters.ts';

@Module({
  controllers: [LettersController],
  providers: [Letters, LetterWriter],
})
export class LettersModule {}
