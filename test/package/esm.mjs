import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CqrsModule, EventsHandler } from '@nestjs/cqrs';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import * as eventStore from 'nest-event-store';
import { appendAndRead } from './application.cjs';

await appendAndRead({
  Module,
  NestFactory,
  CqrsModule,
  EventsHandler,
  TypeOrmModule,
  DataSource,
  ...eventStore,
});
