import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CqrsModule } from '@nestjs/cqrs';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DomainEvent, EventStore, EventStoreModule } from 'nest-event-store';
import { appendAndRead } from './application.cjs';

await appendAndRead({
  Module,
  NestFactory,
  CqrsModule,
  TypeOrmModule,
  DomainEvent,
  EventStore,
  EventStoreModule,
});
